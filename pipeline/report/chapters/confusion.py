"""Who is taken for whom: confusion matrices on one scale, and the commonest errors."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import seaborn as sns
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from pipeline.report.evidence.scores import ConfusedPair
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, name, table
from pipeline.report.look.theme import letters, short, two_lines
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
MOST_NAMES = 30  # classes up to which rows and columns are named
SCALE = PowerNorm(0.6, 0, 1)  # the power lifts the rare confusions out of the background


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
    told = ("fig-confusion", "tbl-confused")
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
    if not sure:
        text = f"None of its {found.errors:,} errors was made {with_it}."
    if found.errors == 1:
        text = f"Its one error was {'' if sure else 'not '}made {with_it}."
    evidence = {"model": found.best, "errors": found.errors, "confident": sure, "threshold": SURE}
    return Sentence(text, "errors.confident", evidence, ("fig-mistakes",))


@floats.figure("fig-confusion")
def figure(study: Study) -> Figure:
    """Draw the confusion matrix of each model's chosen seed on test; rows are true classes."""
    shown = floats.shown_models(study)
    few = len(shown) <= 6 and len(study.classes) <= MOST_NUMBERS
    columns = min(len(shown), 2 if few else 3)
    drawing, panels = _grid(len(shown), columns, _names_width(study.classes))
    styles = theme.model_styles(study)
    for place, (axes, model) in enumerate(zip(panels, shown, strict=True)):
        lowest = place + columns >= len(shown)
        draw_matrix(axes, model.metrics.confusion_matrix, study.classes, place % columns == 0, lowest)
        axes.set_title(two_lines(model.label, 26), color=styles[model.key].color)
    return drawing


def _names_width(classes: Sequence[str]) -> float:
    """Return the room in inches that the names of rows (and of columns, turned) take."""
    if len(classes) > MOST_NAMES:
        return 0.3
    size = 0.075 if len(classes) <= MOST_NUMBERS else 0.06
    return 0.35 + size * min(12, max(len(flat(name)) for name in classes))


def _grid(panels: int, columns: int, names: float) -> tuple[Figure, list[Axes]]:
    """Return squares with room for titles above, and for class names at the left and the bottom."""
    rows, gap, title = -(-panels // columns), 0.18, 0.42
    side = min((theme.WIDTH - names - gap * (columns - 1)) / columns, 3.6)
    side = min(side, (theme.MAX_HEIGHT - names) / rows - title)
    width, height = theme.WIDTH, rows * (side + title) + names
    drawing = Figure(figsize=(width, height))
    places = [divmod(place, columns) for place in range(panels)]
    corners = [(names + c * (side + gap), height - (r + 1) * (side + title)) for r, c in places]
    boxes = [(x / width, y / height, side / width, side / height) for x, y in corners]
    return drawing, [drawing.add_axes(box) for box in boxes]


def draw_matrix(
    axes: Axes,
    matrix: np.ndarray,
    classes: Sequence[str],
    rows_named: bool = True,
    columns_named: bool = True,
) -> None:
    """Draw a matrix of counts [true, predicted], coloured by the share of its row."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    many = len(classes) > MOST_NAMES
    ticks = [] if many else [short(name, 12) for name in classes]
    sns.heatmap(
        shares,
        ax=axes,
        cmap=theme.HEAT_MAP,
        norm=SCALE,
        cbar=False,
        square=True,
        linewidths=0 if many else 0.4,
        linecolor=theme.PAPER.light,
        rasterized=many,
        xticklabels=ticks if columns_named else [],
        yticklabels=ticks if rows_named else [],
    )
    axes.tick_params(length=0, labelsize=8 if len(classes) <= MOST_NUMBERS else 6)
    axes.tick_params(axis="x", rotation=90 if max(map(len, ticks), default=0) > 2 else 0)
    axes.tick_params(axis="y", rotation=0)
    axes.set(xlabel="predicted" if columns_named else "", ylabel="true" if rows_named else "")
    cell = axes.get_position().width * theme.WIDTH / len(classes)
    if cell >= SMALLEST_CELL:
        _write_counts(axes, matrix, shares, size=min(8.0, 72 * 0.42 * cell))


def _write_counts(axes: Axes, matrix: np.ndarray, shares: np.ndarray, size: float) -> None:
    for (true, predicted), count in np.ndenumerate(matrix):
        if count:
            strong = SCALE(shares[true, predicted]) > 0.55
            color = theme.ON_HEAT.light if strong else theme.TEXT.light
            place = (predicted + 0.5, true + 0.5)
            axes.text(*place, f"{count}", ha="center", va="center", color=color, size=size)


def _no_confusion(study: Study) -> str:
    wrong = any(not model.chosen_test.correct.all() for model in study.models)
    return "" if wrong else "No model confused any two classes."


@floats.table("tbl-confused", why=_no_confusion)
def commonest(study: Study) -> Markdown:
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
