"""Errors worth a look: confident ones, those of all models, and how alike the models err.

Errors that may be the label's, and right answers that may be memory's, are in chapters/labels.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
from scipy.stats import binom

from pipeline.report.chapters.confusion import SURE, shown_pair
from pipeline.report.evidence.errors import MANY_DOUBTED, Agreement, Answer, Miss
from pipeline.report.evidence.tests import ALPHA
from pipeline.report.look import floats
from pipeline.report.look.cards import BAD, MUTED, Card, Line, cards, kept_images
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Drawn, Table, name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import number_word, opened, plural
from pipeline.report.words.numbers import NBSP, percent
from pipeline.report.words.phrases import all_of, spoken_list
from pipeline.report.words.sentence import Sentence

MOST_LISTED = 12  # images in a table
MOST_CARDS = 12  # errors shown as images
MOST_OF_A_KIND = 3  # of these, doubtful labels, and images that all miss


@dataclass(frozen=True)
class Facts:
    """How the models' answers on the test images go together."""

    models: Sequence[Model]
    together: Agreement
    classes: int


def facts(study: Study) -> Facts | None:
    """Return how the models' answers go together; None for fewer than two models."""
    return Facts(study.models, study.agreement, len(study.classes)) if study.agreement else None


def words(study: Study) -> Words:
    """Say what all models miss, and how alike their answers are."""
    return Words(study, [*all_miss_words(study), *agreement_words(study)])


def all_miss_words(study: Study) -> Words:
    found = facts(study)
    return Words(study, [_all_miss(found)] if found else [], told=["tbl-errors"])


def agreement_words(study: Study) -> Words:
    found = facts(study)
    return Words(study, [_alike(found)] if found else [], told=["tbl-agreement"])


def _all_miss(found: Facts) -> Sentence:
    together = found.together
    missed, expected = together.all_miss, together.expected_all_miss
    evidence = {
        "all_miss": missed,
        "same_miss": together.same_miss,
        "expected": expected,
        "all_right": together.all_right,
        "images": together.images,
    }
    if not missed:
        return Sentence(
            f"No test image defeats {all_of(found.models)} at once.", "errors.all-miss.none", evidence
        )
    about = "fewer than one" if expected < 0.5 else f"about {round(expected):,}"
    text = (
        f"{opened(all_of(found.models))} miss the same {plural(missed, 'image')} "
        f"({percent(missed / together.images)} of all), where {about} would be expected if they erred "
        f"independently{_hard_for_all(found)}."
    )
    return Sentence(text, "errors.all-miss", evidence, ("tbl-errors", "tbl-all-miss"))


def _hard_for_all(found: Facts) -> str:
    together = found.together
    others, everyone = ("other", "both") if len(found.models) == 2 else ("others", "all")
    chance = min(1.0, together.expected_all_miss / together.images)
    more = float(binom.sf(together.all_miss - 1, together.images, chance)) < ALPHA
    text = f": what is hard for one is often hard for the {others}" if more else ""
    if found.classes == 2 or not together.same_miss:
        return text  # of two classes there is but one wrong answer
    if together.same_miss == together.all_miss:
        return text + f"; {everyone} agree on the wrong answer"
    return text + f"; in {number_word(together.same_miss)} of them {everyone} agree on the wrong answer"


def _alike(found: Facts) -> Sentence:
    """Say how alike the answers are, and what no way of combining them could exceed."""
    together = found.together
    pairs = [(together.share[i, j], i, j) for j in range(len(found.models)) for i in range(j)]
    (least, *apart), (most, *near) = min(pairs), max(pairs)
    reached = 1 - together.all_miss / together.images
    text = f"The two give the same answer to {percent(most)} of the test images"
    if len(pairs) > 1 and percent(least) == percent(most):
        text = f"Every two of them give the same answer to {percent(most)} of the test images"
    elif len(pairs) > 1:
        closest, farthest = (spoken_list([found.models[i] for i in pair]) for pair in (near, apart))
        text = (
            f"From {percent(least)} ({farthest}) to {percent(most)} of the test images ({closest}) get the "
            "same answer from two models"
        )
    if together.all_miss:
        text += f"; at least one is right on {percent(reached)}, which no vote among them could exceed."
    else:
        text += "; on every image at least one is right."
    evidence = {"highest": most, "lowest": least, "one_right": reached}
    return Sentence(text, "errors.alike", evidence, ("tbl-agreement",))


@dataclass(frozen=True)
class Known:
    """A test image worth a look, and why."""

    index: int
    why: str


def known(study: Study) -> list[Known]:
    """Return the errors to know, no image twice: doubtful labels, those that all miss, the surest errors."""
    marks, everyone = letters(study), f"missed by {all_of(study.models)}"
    doubted = study.label_issues if len(study.label_issues) <= MANY_DOUBTED * len(study.targets) else []
    found = [Known(one.index, "label in doubt") for one in doubted[:MOST_OF_A_KIND]]
    if len(study.models) > 1:
        found += [Known(one.index, everyone) for one in study.missed_by_all[:MOST_OF_A_KIND]]
    surest = [
        [Known(one.index, f"{marks[model.key]}’s surest") for one in model.confident_mistakes(MOST_CARDS)]
        for model in shown_pair(study)
    ]
    found += [one for each in zip_longest(*surest) for one in each if one]
    once: dict[int, Known] = {}
    for one in found:
        once.setdefault(one.index, one)
    return list(once.values())[:MOST_CARDS]


def _title(study: Study) -> str:
    """Say how sure the best on val is of its errors."""
    best = study.best
    assert best is not None
    mark, split = letters(study)[best.key], best.chosen_test
    wrong = ~split.correct
    if not wrong.any():
        return f"Errors to know; {mark} makes none"
    sure = int((split.probability.max(axis=1)[wrong] >= SURE).sum())
    errors = plural(int(wrong.sum()), "error")
    of_them = {int(wrong.sum()): "", 0: "none of "}.get(sure, f"{sure:,} of ")
    return f"Errors to know: {mark} is at least {SURE} sure of {of_them}its {errors}"


@floats.table(
    "tbl-errors",
    "Test images with their label; in red, what the two models said and how sure they were.",
    _title,
    when=known,
    data=lambda study: _answers_of_two(study),
)
def sheet(study: Study) -> Drawn:
    """Show the errors to know: images with label, answers and confidences."""
    images = kept_images(study)
    return cards([_card(study, one, images.get(one.index)) for one in known(study)], columns=6)


def _answers_of_two(study: Study) -> Table:
    """List the same images with label, answers and confidences."""
    marks, pair = letters(study), shown_pair(study)
    header = ["Image", "File", "Why", "Label"]
    for model in pair:
        header += [f"{marks[model.key]}: answer", "confidence"]
    rows = []
    for one in known(study):
        row = int(np.searchsorted(study.models[0].chosen_test.index, one.index))
        cells = [str(one.index), name(study.test_files.get(one.index, ""), 300), one.why]
        cells.append(name(study.classes[int(study.targets[row])], 300))
        for split in (model.chosen_test for model in pair):
            cells += [
                name(study.classes[int(split.predicted[row])], 300),
                f"{split.probability[row].max():.4f}",
            ]
        rows.append(cells)
    return table(header, rows, "l" * len(header))


def _card(study: Study, one: Known, png: bytes | None) -> Card:
    marks = letters(study)
    row = int(np.searchsorted(study.models[0].chosen_test.index, one.index))
    label = int(study.targets[row])
    lines = [Line(short(study.classes[label], 60)), Line(f"No. {one.index}, {one.why}", MUTED)]
    if file := study.test_files.get(one.index):
        lines.append(Line(short(file, 60), MUTED))
    for model in shown_pair(study):
        split = model.chosen_test
        answer, sure = int(split.predicted[row]), percent(float(split.probability[row].max()), 0)
        tone = "" if answer == label else BAD
        lines.append(Line(f"{marks[model.key]}: {short(study.classes[answer], 60)}, {sure}", tone))
    return Card([png], f"test image {one.index}", lines)


@floats.table(
    "tbl-all-miss",
    "Those first of which the models are surest: their answers, and in brackets who gives them, how sure.",
    floats.named("Images that every model gets wrong"),
    when=lambda study: floats.two_models(study) and study.missed_by_all,
)
def all_miss_answers(study: Study) -> Table:
    """List the images that every model gets wrong, with each model's answer and confidence."""
    rows = [
        [name(study.image_name(one.index), 40), name(study.classes[one.target], 30), _answers(study, one)]
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


@floats.table(
    "tbl-agreement",
    "Above the diagonal: test images both answer alike. On it, errors of one; below it, images both get "
    "wrong. "
    "Chosen seeds.",
    floats.named("How alike the models answer"),
    when=floats.two_models,
)
def agreement(study: Study) -> Table:
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
