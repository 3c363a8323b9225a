"""Errors worth a look: confident ones, those of all models, doubtful labels, near-duplicates."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from IPython.display import Markdown
from matplotlib.figure import Figure

from pipeline.report.evidence.errors import Agreement, Answer, LabelIssue, Miss, Mistake, WithoutDuplicates
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.sheet import Picture, Row, kept_images, sheet
from pipeline.report.look.table import name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import number_word, opened, plural
from pipeline.report.words.numbers import NBSP, percent, points, points_range
from pipeline.report.words.phrases import spoken_list
from pipeline.report.words.sentence import Sentence

CARRIES = 0.005  # a change of accuracy without near-duplicates that is worth attention
MANY = 0.05  # share of doubted labels above which the models are the likelier reason
MOST_ROWS = 6  # models with a row of mistakes
MOST_LISTED = 12  # images in a table
# How many pictures in a row; the side of one, and from one to the next, in inches.
MISTAKES = (6, 0.58, 0.94)
ALL_MISS = (5, 0.85, 1.14)


@dataclass(frozen=True)
class Facts:
    """What goes wrong, over all models."""

    models: Sequence[Model]
    best: Model  # on val
    images: int  # of test
    together: Agreement | None  # None for fewer than two models
    issues: Sequence[LabelIssue]
    duplicates: WithoutDuplicates | None  # of the best on val; None where there are none

    @property
    def everyone(self) -> str:
        count = len(self.models)
        return "both models" if count == 2 else f"all {number_word(count)} models"


def facts(study: Study) -> Facts | None:
    """Return what goes wrong; None without a model."""
    best = study.best
    if best is None:
        return None
    return Facts(
        models=study.models,
        best=best,
        images=len(study.targets),
        together=study.agreement,
        issues=study.label_issues,
        duplicates=best.without_duplicates,
    )


def words(study: Study) -> Words:
    """Say what all models miss, how alike they are, which labels are in doubt, what memory may do."""
    parts = (all_miss_words, agreement_words, label_words, duplicate_words)
    return Words(study, [sentence for part in parts for sentence in part(study)])


def all_miss_words(study: Study) -> Words:
    found = facts(study)
    return Words(study, [_all_miss(found)] if found else [], told=["fig-all-miss", "tbl-all-miss"])


def agreement_words(study: Study) -> Words:
    found = facts(study)
    return Words(study, [_alike(found)] if found else [], told=["tbl-agreement"])


def label_words(study: Study) -> Words:
    found = facts(study)
    return Words(study, [_labels(found)] if found else [], told=["fig-label-errors", "tbl-label-errors"])


def duplicate_words(study: Study) -> Words:
    found = facts(study)
    return Words(study, [_duplicates(found)] if found else [], told=["tbl-duplicates"])


def _all_miss(found: Facts) -> Sentence | None:
    together = found.together
    if together is None:
        return None
    missed, expected = together.all_miss, together.expected_all_miss
    evidence = {
        "all_miss": missed,
        "same_miss": together.same_miss,
        "expected": expected,
        "all_right": together.all_right,
        "images": together.images,
    }
    if not missed:
        return Sentence(f"No test image defeats {found.everyone} at once.", "errors.all-miss.none", evidence)
    about = "fewer than one" if expected < 0.5 else f"about {round(expected):,}"
    text = (
        f"{opened(found.everyone)} miss the same {plural(missed, 'image')} "
        f"({percent(missed / together.images)}), where {about} would be expected if they erred "
        f"independently{_hard_for_all(found, together)}."
    )
    return Sentence(text, "errors.all-miss", evidence, ("fig-all-miss", "tbl-all-miss"))


def _hard_for_all(found: Facts, together: Agreement) -> str:
    others, everyone = ("other", "both") if len(found.models) == 2 else ("others", "all")
    alike = together.all_miss > 2 * max(together.expected_all_miss, 1)
    text = f": what is hard for one is hard for the {others}" if alike else ""
    if together.same_miss == together.all_miss:
        text += f"{',' if alike else ''} and {everyone} agree on the wrong answer"
    elif together.same_miss:
        text += f"; in {number_word(together.same_miss)} of them {everyone} agree on the wrong answer"
    return text


def _alike(found: Facts) -> Sentence | None:
    """Say how alike the answers are, and what no way of combining them could exceed."""
    together = found.together
    if together is None:
        return None
    pairs = [(together.share[i, j], i, j) for j in range(len(found.models)) for i in range(j)]
    (least, *apart), (most, *near) = min(pairs), max(pairs)
    reached = 1 - together.all_miss / together.images
    text = f"The two give the same answer to {percent(most)} of the test images"
    if len(pairs) > 1:
        closest, farthest = (spoken_list([found.models[i] for i in pair]) for pair in (near, apart))
        text = (
            f"Most alike are {closest}, with the same answer to {percent(most)} of the test images, least "
            f"alike {farthest}, with {percent(least)}"
        )
    if together.all_miss:
        text += f"; at least one is right on {percent(reached)}, which no vote among them could exceed."
    else:
        text += "; on every image at least one is right."
    evidence = {"highest": most, "lowest": least, "one_right": reached}
    return Sentence(text, "errors.alike", evidence, ("tbl-agreement",))


def _labels(found: Facts) -> Sentence:
    issues, images = len(found.issues), found.images
    agreed = sum(issue.unanimous for issue in found.issues)
    evidence = {"suspected": issues, "unanimous": agreed, "images": images}
    if not issues:
        text = "Confident learning finds no test image whose label it would doubt."
        return Sentence(text, "errors.labels.none", evidence)
    agreeing = f"; {_agreeing(found, agreed, issues)}" if len(found.models) > 1 else ""
    warning = "Only a look at the image can tell whether label or model is wrong."
    if issues > MANY * images:
        warning = "So many doubts speak for weak models rather than for wrong labels."
    text = (
        f"Confident learning doubts the label of {plural(issues, 'test image')} "
        f"({percent(issues / images)}){agreeing}. {warning}"
    )
    return Sentence(text, "errors.labels", evidence, ("tbl-label-errors",))


def _agreeing(found: Facts, agreed: int, issues: int) -> str:
    everyone = found.everyone
    if issues == 1:
        return f"{everyone} {'agree' if agreed else 'do not agree'} on one other class"
    if not agreed:
        return f"for none of them do {everyone} agree on one other class"
    return f"for {'all' if agreed == issues else f'{agreed:,}'} of them {everyone} agree on one other class"


def _duplicates(found: Facts) -> Sentence | None:
    without, best = found.duplicates, found.best
    if without is None:
        return None
    change = without.accuracy - best.accuracy.value
    has, it = ("has", "it") if without.removed == 1 else ("have", "them")
    before, after = percent(best.accuracy.value), percent(without.accuracy)
    moved = f"stays at {after}" if before == after else f"is {after} instead of {before}"
    text = (
        f"{opened(plural(without.removed, 'test image'))} "
        f"({percent(without.removed / (without.removed + without.images))}) {has} a near-duplicate in train; "
        f"without {it} the accuracy of {best.spoken} {moved}"
    )
    text += ", so they do not carry the result." if abs(change) < CARRIES else f", {points(change)} apart."
    evidence = {
        "model": best,
        "near_duplicates": without.removed,
        "accuracy": best.accuracy.value,
        "accuracy_without": without.accuracy,
        "difference": [without.difference.value, without.difference.low, without.difference.high],
    }
    return Sentence(text, "errors.duplicates", evidence, ("tbl-duplicates",))


def _no_mistake(study: Study) -> str:
    wrong = any(not model.chosen_test.correct.all() for model in study.models)
    return "" if wrong else "There is no mistake to show."


@floats.figure("fig-mistakes", why=_no_mistake)
def mistakes(study: Study) -> Figure:
    """Draw the errors that each model was surest of: its label, and in red what the model said."""
    columns, side, step = MISTAKES
    images, styles = kept_images(study), theme.model_styles(study)
    rows = [
        Row(
            [_mistake(one, images, study.classes) for one in model.confident_mistakes(columns)],
            short(model.label, 60),
            styles[model.key].color,
        )
        for model in floats.shown_models(study, MOST_ROWS)
        if not model.chosen_test.correct.all()
    ]
    return sheet(rows, side, step)


def _mistake(one: Mistake, images: dict[int, bytes], classes: Sequence[str]) -> Picture:
    label, answer = (short(classes[k], 13) for k in (one.target, one.predicted))
    red = theme.BAD.light
    lines = [(label, theme.TEXT.light), (answer, red), (percent(one.confidence), red)]
    return Picture(images.get(one.index), lines)


def _numbered(pictures: Sequence[Picture]) -> Figure:
    columns, side, step = ALL_MISS
    return sheet([Row(pictures[i : i + columns]) for i in range(0, len(pictures), columns)], side, step)


def _nothing_missed(study: Study) -> str:
    return "" if study.missed_by_all else "No test image was missed by every model."


@floats.figure("fig-all-miss", why=_nothing_missed)
def all_miss(study: Study) -> Figure:
    """Draw the images that every model gets wrong, with what the models said."""
    images, most = kept_images(study), 2 * ALL_MISS[0]
    return _numbered([_missed(one, images, study.classes) for one in study.missed_by_all[:most]])


def _missed(one: Miss, images: dict[int, bytes], classes: Sequence[str]) -> Picture:
    answers = Counter(answer.predicted for answer in one.answers).most_common(3)
    said = [(f"{short(classes[k], 11)} ×{count}", theme.BAD.light) for k, count in answers]
    label = (short(classes[one.target], 13), theme.TEXT.light)
    return Picture(images.get(one.index), [(f"No. {one.index}", theme.MUTED.light), label, *said])


@floats.table("tbl-all-miss", why=lambda study: floats.needs_two_models(study) or _nothing_missed(study))
def all_miss_answers(study: Study) -> Markdown:
    """List the images that every model gets wrong, with each model's answer and confidence."""
    rows = [
        [str(one.index), name(study.classes[one.target], 30), _answers(study, one)]
        for one in study.missed_by_all[:MOST_LISTED]
    ]
    return table(["Test image", "Label", "What the models say, and how sure they are"], rows, "rll")


def _answers(study: Study, one: Miss) -> str:
    """Group the models by their answer: 9 (A 98 %, C 54 %); 5 (B 31 %)."""
    said: dict[int, list[Answer]] = {}
    for answer in one.answers:
        said.setdefault(answer.predicted, []).append(answer)
    marks = letters(study)
    parts = []
    for predicted, answers in sorted(said.items(), key=lambda item: -len(item[1])):
        who = ", ".join(f"{marks[a.model]}{NBSP}{percent(a.confidence, 0)}" for a in answers)
        parts.append(f"{name(study.classes[predicted], 30)} ({who})")
    return "; ".join(parts)


@floats.table("tbl-agreement", why=floats.needs_two_models)
def agreement(study: Study) -> Markdown:
    """Show every pair: above the diagonal how often both answer alike, below it what both get wrong."""
    marks, places = letters(study), {model.key: i for i, model in enumerate(study.models)}
    shown = [(model, places[model.key]) for model in floats.shown_models(study)]
    rows = [
        [marks[model.key], name(model.label, 34), *(_together(study, i, j) for _, j in shown)]
        for model, i in shown
    ]
    header = ["Key", "Model", *(marks[model.key] for model, _ in shown)]
    return table(header, rows, "ll" + "r" * len(shown))


def _together(study: Study, row: int, column: int) -> str:
    together = study.agreement
    if together is None:
        return ""
    return f"{together.missed[row, column]:,}" if column <= row else percent(together.share[row, column])


def _no_doubt(study: Study) -> str:
    return "" if study.label_issues else "No label of a test image is in doubt."


@floats.figure("fig-label-errors", why=_no_doubt)
def label_errors(study: Study) -> Figure:
    """Draw the test images whose labels the models doubt most, with what they say instead."""
    images, most = kept_images(study), 2 * ALL_MISS[0]
    return _numbered([_doubted(one, images, study.classes) for one in study.label_issues[:most]])


def _doubted(one: LabelIssue, images: dict[int, bytes], classes: Sequence[str]) -> Picture:
    label, answer = (short(classes[k], 14) for k in (one.target, one.suggested))
    number = (f"No. {one.index}", theme.MUTED.light)
    return Picture(images.get(one.index), [number, (label, theme.TEXT.light), (answer, theme.BAD.light)])


@floats.table("tbl-label-errors", why=_no_doubt)
def label_chances(study: Study) -> Markdown:
    """List the test images whose labels the models doubt most."""
    header = ["Test image", "Label", "Models say", "Chance of the label", "Of their answer", "All models"]
    rows = [
        [
            str(issue.index),
            name(study.classes[issue.target], 30),
            name(study.classes[issue.suggested], 30),
            percent(issue.target_probability),
            percent(issue.suggested_probability),
            "yes" if issue.unanimous else "no",
        ]
        for issue in study.label_issues[:MOST_LISTED]
    ]
    return table(header, rows, "rllrrl")


def _no_twins(study: Study) -> str:
    if any(model.without_duplicates for model in study.models):
        return ""
    if study.dataset is not None and study.dataset.near_duplicates_note:
        return "No test image was found to have a near-duplicate in train."
    return "Nobody looked for near-duplicates between test and train."


@floats.table("tbl-duplicates", why=_no_twins)
def duplicates(study: Study) -> Markdown:
    """List each model's accuracy on test images with and without a near twin in train."""
    header = ["Model", "All test images", "Without twins", "Twins alone", "Twins − others, 95 % interval"]
    rows = [
        [
            name(model.label),
            percent(model.test_accuracy),
            percent(without.accuracy),
            percent(without.accuracy_removed),
            points_range(without.difference.low, without.difference.high),
        ]
        for model in study.models
        if (without := model.without_duplicates)
    ]
    return table(header, rows, "lrrrr")
