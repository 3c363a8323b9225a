"""Figures of errors: each model's most confident mistakes, and the images that all models miss."""

from collections import Counter

from matplotlib.figure import Figure

from pipeline.report.evidence.errors import LabelIssue, Miss, Mistake
from pipeline.report.figures.images import Picture, Row, sheet
from pipeline.report.look import theme
from pipeline.report.look.theme import short
from pipeline.report.study import Study
from pipeline.report.words.english import percent

MOST_MODELS = 6
# How many pictures in a row; the side of one, and from one to the next, in inches.
MISTAKES = (6, 0.58, 0.94)
ALL_MISS = (5, 0.85, 1.14)


@theme.draws
def mistakes(study: Study) -> Figure:
    """Draw the errors that each model was surest of: its label, and in red what the model said."""
    columns, side, step = MISTAKES
    best = sorted(study.models, key=lambda group: -group.val_accuracy)[:MOST_MODELS]
    images, styles = kept_images(study), theme.model_styles(study)
    rows = [
        Row(
            [_mistake(one, images, study.classes) for one in group.confident_mistakes(columns)],
            short(group.label, 60),
            styles[group.key].color,
        )
        for group in study.models
        if group in best and not group.chosen_test.correct.all()
    ]
    if not rows:
        return theme.nothing("There is no mistake to show.")
    return sheet(rows, side, step)


@theme.draws
def all_miss(study: Study) -> Figure:
    """Draw the images that every model gets wrong, with what the models said."""
    if not study.missed_by_all:
        return theme.nothing("No test image was missed by every model.")
    images, (columns, side, step) = kept_images(study), ALL_MISS
    pictures = [_missed(one, images, study.classes) for one in study.missed_by_all[: 2 * columns]]
    return sheet([Row(pictures[i : i + columns]) for i in range(0, len(pictures), columns)], side, step)


@theme.draws
def label_errors(study: Study) -> Figure:
    """Draw the test images whose labels the models doubt most, with what they say instead."""
    if not study.label_issues:
        return theme.nothing("No label of a test image is in doubt.")
    images, (columns, side, step) = kept_images(study), ALL_MISS
    pictures = [_doubted(one, images, study.classes) for one in study.label_issues[: 2 * columns]]
    return sheet([Row(pictures[i : i + columns]) for i in range(0, len(pictures), columns)], side, step)


def kept_images(study: Study) -> dict[int, bytes]:
    """Return the PNG of every test image that some run kept, by its index."""
    images: dict[int, bytes] = {}
    for record in study.records:
        gallery = record.gallery
        of_test = gallery[gallery["split"] == "test"]
        images.update(zip(of_test["index"], of_test["png"], strict=True))
    return images


def _mistake(one: Mistake, images: dict[int, bytes], classes: list[str]) -> Picture:
    return Picture(
        images.get(one.index),
        [
            (short(classes[one.target], 13), theme.TEXT.light),
            (short(classes[one.predicted], 13), theme.BAD.light),
            (percent(one.confidence), theme.BAD.light),
        ],
    )


def _doubted(one: LabelIssue, images: dict[int, bytes], classes: list[str]) -> Picture:
    lines = [
        (f"No. {one.index}", theme.MUTED.light),
        (short(classes[one.target], 14), theme.TEXT.light),
        (short(classes[one.suggested], 14), theme.BAD.light),
    ]
    return Picture(images.get(one.index), lines)


def _missed(one: Miss, images: dict[int, bytes], classes: list[str]) -> Picture:
    answers = Counter(answer.predicted for answer in one.answers).most_common(3)
    said = [f"{short(classes[k], 11)} ×{count}" for k, count in answers]
    lines = [
        (f"No. {one.index}", theme.MUTED.light),
        (short(classes[one.target], 13), theme.TEXT.light),
        *((words, theme.BAD.light) for words in said),
    ]
    return Picture(images.get(one.index), lines)
