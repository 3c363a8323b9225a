"""Errors worth a look: confident ones, those of all models, and how alike the models err.

Errors that may be the label's, and right answers that may be memory's, are in chapters/labels.py.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from IPython.display import Markdown
from matplotlib.figure import Figure
from scipy.stats import binom

from pipeline.report.evidence.errors import Agreement, Answer, Miss, Mistake
from pipeline.report.evidence.tests import ALPHA
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.sheet import Picture, Row, kept_images, numbered, sheet
from pipeline.report.look.table import name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import number_word, opened, plural
from pipeline.report.words.numbers import NBSP, percent
from pipeline.report.words.phrases import all_of, spoken_list
from pipeline.report.words.sentence import Sentence

MOST_ROWS = 6  # models with a row of mistakes
MOST_LISTED = 12  # images in a table
MOST_DRAWN = 10  # images that all miss in the figure
# How many pictures in a row; the side of one, and from one to the next, in inches.
MISTAKES = (6, 0.58, 0.94)


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
    return Words(study, [_all_miss(found)] if found else [], told=["fig-all-miss", "tbl-all-miss"])


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
    return Sentence(text, "errors.all-miss", evidence, ("fig-all-miss", "tbl-all-miss"))


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


def _nothing_missed(study: Study) -> str:
    return "" if study.missed_by_all else "No test image was missed by every model."


@floats.figure("fig-all-miss", why=_nothing_missed)
def all_miss(study: Study) -> Figure:
    """Draw the images that every model gets wrong, with what the models said."""
    images = kept_images(study)
    return numbered([_missed(one, images, study.classes) for one in study.missed_by_all[:MOST_DRAWN]])


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
