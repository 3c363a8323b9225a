"""Who is taken for whom: confusion matrices on one scale, and the commonest errors."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from pipeline.report.evidence.scores import ConfusedPair, clustered, most_confused
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Table, name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import flat, join, number_word, opened, plural
from pipeline.report.words.sentence import Sentence

SECTION = "errors"  # its name in results.json
SURE = 0.9  # a mistake made with at least this confidence is a confident one
MOST_PAIRS = 10  # confusions listed
MOST_CONSIDERED = 1000  # confusions among which equals are looked for
MOST_TIED = 3  # equally common confusions that are named
MOST_NUMBERS = 12  # classes up to which the matrices are drawn large
SMALLEST_CELL = 0.16  # inches from which a cell holds its count
MOST_DRAWN = 30  # classes up to which all of them are drawn
MOST_CONFUSED = 24  # classes drawn of more
SMALLEST_SCALE = 0.05  # the share of errors that has the strongest colour is at least this


@dataclass(frozen=True)
class Facts:
    """The errors of the best model on val, of its chosen seed."""

    best: Model
    classes: Sequence[str]
    pairs: Sequence[ConfusedPair]  # its commonest confusions: several where they tie
    others: int  # other models
    sharing: int  # of these, models whose commonest confusion is the same
    errors: int
    confident: int  # of these, made with a confidence of SURE or more


def facts(study: Study) -> Facts | None:
    """Return the facts about the best model's errors; None without a model."""
    best = study.best
    if best is None:
        return None
    split = best.chosen_test
    others = [model for model in study.models if model is not best]
    pairs = _commonest(best)
    return Facts(
        best=best,
        classes=study.classes,
        pairs=pairs,
        others=len(others),
        sharing=sum(_same(_commonest(other), pairs) for other in others),
        errors=int((~split.correct).sum()),
        confident=int((~split.correct & (split.probability.max(axis=1) >= SURE)).sum()),
    )


def _commonest(model: Model) -> list[ConfusedPair]:
    """Return the confusion of most images, and those that are as common."""
    found = model.most_confused(MOST_CONSIDERED)
    return [pair for pair in found if pair.count == found[0].count]


def _same(one: Sequence[ConfusedPair], other: Sequence[ConfusedPair]) -> bool:
    """Whether both have one commonest confusion, and the same."""
    if len(one) != 1 or len(other) != 1:
        return False
    return (one[0].true, one[0].predicted) == (other[0].true, other[0].predicted)


def words(study: Study) -> Words:
    """Name the best model's commonest confusion, and how sure it was of its errors."""
    found = facts(study)
    told = ("fig-confusion",)
    return Words(study, [_confused(found), _confident(found)] if found else [], told)


def _confused(found: Facts) -> Sentence:
    best = found.best
    if not found.pairs:
        text = f"{opened(best.spoken)} makes no error on the test images."
        return Sentence(text, "errors.none", {"model": best})
    if len(found.pairs) > 1:
        return _tied(found)
    pair = found.pairs[0]
    true, predicted = found.classes[pair.true], found.classes[pair.predicted]
    text = (
        f"{opened(best.spoken)} errs most often by taking “{true}” for “{predicted}”: "
        f"{plural(pair.count, 'image')} of the {_support(found, pair):,} of that class{_too(found)}."
    )
    evidence = {
        "model": best, "true": true, "predicted": predicted, "count": pair.count, "share": pair.share
    }  # fmt: skip
    return Sentence(text, "errors.confused", evidence, ("tbl-confused", "fig-confusion"))


def _support(found: Facts, pair: ConfusedPair) -> int:
    return int(found.best.metrics.support[pair.true])


def _tied(found: Facts) -> Sentence:
    """Say that no confusion is the commonest."""
    count, many = found.pairs[0].count, len(found.pairs)
    quoted = [f"“{found.classes[pair.true]}” for “{found.classes[pair.predicted]}”" for pair in found.pairs]
    what = f": {join(quoted)}" if many <= MOST_TIED else ""
    text = (
        f"No confusion of {found.best.spoken} is commonest: {number_word(many)} pairs of classes tie, with "
        f"{plural(count, 'image')} each{what}."
    )
    evidence = {"model": found.best, "pairs": many, "count": count}
    return Sentence(text, "errors.confused.tied", evidence, ("tbl-confused", "fig-confusion"))


def _too(found: Facts) -> str:
    if not found.sharing:
        return ""
    who = f"{number_word(found.sharing)} of the others"
    if found.sharing == found.others:
        who = "the other model" if found.others == 1 else "all other models"
    return f"; it is the commonest error of {who} too"


def _confident(found: Facts) -> Sentence | None:
    if not found.errors:
        return None
    sure, with_it = found.confident, f"with a confidence of {SURE} or more"
    text = f"Of its {found.errors:,} errors, {sure:,} {'was' if sure == 1 else 'were'} made {with_it}."
    if sure in (0, found.errors):
        text = f"{'Each' if sure else 'None'} of its {found.errors:,} errors was made {with_it}."
    if found.errors == 1:
        text = f"Its one error was {'' if sure else 'not '}made {with_it}."
    evidence = {"model": found.best, "errors": found.errors, "confident": sure, "threshold": SURE}
    return Sentence(text, "errors.confident", evidence, ("tbl-errors",))


def _title(study: Study) -> str:
    found = facts(study)
    assert found is not None
    best = letters(study)[found.best.key]
    if not found.pairs:
        return f"{best} makes no error on the test images"
    pair = found.pairs[0]
    true, predicted = (short(found.classes[k], 24) for k in (pair.true, pair.predicted))
    others = len(found.pairs) - 1
    many = len(found.classes) > MOST_DRAWN
    drawn = (
        f"; the PDF draws the {MOST_CONFUSED} of {len(found.classes):,} classes confused most" if many else ""
    )
    tied = f", as often as {number_word(others)} other pair{'s' if others > 1 else ''}" if others else ""
    return (
        f"{best} errs most by taking “{true}” for “{predicted}”: {plural(pair.count, 'image')}{tied}{drawn}"
    )


def shown_pair(study: Study) -> list[Model]:
    """Return the best on val and its rival: the two compared, or the one model that there is."""
    best = study.best
    pair = [model for model in study.pair or () if model is not best]
    return [model for model in (best, *pair) if model][:2]


def drawn_classes(study: Study) -> list[int]:
    """Return the classes in the same order; of many only those that the two models confuse most."""
    if len(study.classes) <= MOST_DRAWN:
        return order(study)
    counts = sum(model.metrics.confusion_matrix for model in shown_pair(study))
    most = dict.fromkeys(
        k for pair in most_confused(np.asarray(counts), MOST_CONSIDERED) for k in (pair.true, pair.predicted)
    )
    kept = set(list(most)[:MOST_CONFUSED])
    return [k for k in order(study) if k in kept]


def order(study: Study) -> list[int]:
    """Return the classes so that those that are taken for each other stand side by side."""
    every = sum(model.metrics.confusion_matrix for model in study.models)
    return clustered(np.asarray(every))


@floats.figure(
    "fig-confusion",
    "Test images by label (rows) and answer (columns), chosen seeds. Colour: errors, as a share of the row. "
    "Confused classes are neighbours.",
    _title,
    alternative="Confusion matrix on test: rows are labels, columns what the model said; the diagonal "
    "holds the "
    "right answers.",
    data=lambda study: _cells(study),
    wide=True,
)
def figure(study: Study) -> list[Figure]:
    """Draw the confusion matrices of the best on val and its rival on test; rows are true classes."""
    shown, places = shown_pair(study), drawn_classes(study)
    names = [study.classes[k] for k in places]
    matrices = [model.metrics.confusion_matrix[np.ix_(places, places)] for model in shown]
    images = np.asarray(shown[0].metrics.support)[places]
    most = max(SMALLEST_SCALE, *(float(_errors(matrix, images).max()) for matrix in matrices))
    drawings = []
    for model, matrix in zip(shown, matrices, strict=True):
        drawing, axes = _square(_names_width(names))
        drawing.set_label(model.label)
        draw_matrix(axes, matrix, names, most, images)
        label = f"{letters(study)[model.key]}  {short(model.label, 32)}"
        left = -axes.get_position().x0 / axes.get_position().width  # a long name needs the drawing's width
        axes.set_title(label, color=theme.model_styles(study)[model.key].color, loc="left", x=left, size=9)
        drawings.append(drawing)
    return drawings


def _names_width(classes: Sequence[str]) -> float:
    """Return the room in inches that the names of rows (and of columns, turned) take."""
    size = 0.075 if len(classes) <= MOST_NUMBERS else 0.06
    return 0.35 + size * min(12, max(len(flat(name)) for name in classes))


def _square(names: float) -> tuple[Figure, Axes]:
    """Return a square with room for a title above, and for class names at the left and the bottom."""
    width = theme.PANEL + 0.3
    side, title = width - names - 0.05, 0.3
    height = side + title + names
    drawing = Figure(figsize=(width, height))
    return drawing, drawing.add_axes((names / width, names / height, side / width, side / height))


def _errors(matrix: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Return the errors of counts [true, predicted], as shares of each row's ``images``."""
    shares = matrix / np.maximum(images[:, None], 1)
    return np.asarray(shares * (1 - np.eye(len(matrix))))


def draw_matrix(
    axes: Axes, matrix: np.ndarray, classes: Sequence[str], most: float, images: np.ndarray
) -> None:
    """Draw counts [true, predicted]; errors are coloured by their share of each row's ``images``."""
    shares = _errors(matrix, images)
    ticks = [short(name, 12) for name in classes]
    scale = PowerNorm(0.7, 0, most)
    sns.heatmap(
        shares, ax=axes, cmap=theme.HEAT_MAP, norm=scale, cbar=False,
        linewidths=0.4, linecolor=theme.PAPER.light, xticklabels=False, yticklabels=False,
    )  # fmt: skip
    middles = np.arange(len(ticks)) + 0.5  # seaborn would draw all of it, to see whether names overlap
    axes.set_xticks(middles, ticks)
    axes.set_yticks(middles, ticks)
    axes.set(xlabel="predicted", ylabel="true")
    axes.tick_params(length=0, labelsize=9 if len(classes) <= MOST_NUMBERS else 6.5)
    axes.tick_params(axis="x", rotation=90 if max(map(len, ticks), default=0) > 2 else 0)
    axes.tick_params(axis="y", rotation=0)
    cell = axes.get_position().width * axes.figure.bbox.width / axes.figure.dpi / len(classes)
    if cell >= SMALLEST_CELL:
        _write_counts(axes, matrix, scale(shares), size=min(8.0, 72 * 0.42 * cell))


def _write_counts(axes: Axes, matrix: np.ndarray, shades: np.ndarray, size: float) -> None:
    for (true, predicted), count in np.ndenumerate(matrix):
        if count:
            color = theme.ON_HEAT.light if shades[true, predicted] > 0.55 else theme.TEXT.light
            place = (predicted + 0.5, true + 0.5)
            weight = "bold" if true == predicted else "normal"
            axes.text(*place, f"{count}", ha="center", va="center", color=color, size=size, weight=weight)


def _any_wrong(study: Study) -> bool:
    return any(not model.chosen_test.correct.all() for model in study.models)


def _cells(study: Study) -> Table:
    """List the cells of the drawn matrices that are not empty."""
    rows = [
        [name(model.label), *(name(study.classes[k], 300) for k in cell), str(counts[tuple(cell)])]
        for model in shown_pair(study)
        for counts in [np.asarray(model.metrics.confusion_matrix)]
        for cell in np.argwhere(counts)
    ]
    return table(["Model", "Label", "Answer", "Images"], rows, "lllr")


@floats.table(
    "tbl-confused",
    "Over all models: how many test images each model’s chosen seed got wrong in that way.",
    floats.named("The commonest confusions"),
    when=_any_wrong,
)
def commonest(study: Study) -> Table:
    """List the pairs of classes that are confused most over all models, with each model's count."""
    total: Counter[tuple[int, int]] = Counter()
    for model in study.models:
        total.update({(pair.true, pair.predicted): pair.count for pair in model.most_confused(1000)})
    shown, marks = floats.shown_models(study), letters(study)
    rows = [
        [
            name(study.classes[true], 30),
            name(study.classes[predicted], 30),
            *(str(model.metrics.confusion_matrix[true, predicted] or NONE) for model in shown),
        ]
        for (true, predicted), _ in total.most_common(MOST_PAIRS)
    ]
    header = ["Label", "Taken for", *(marks[model.key] for model in shown)]
    return table(header, rows, "ll" + "r" * len(shown))
