"""Class by class: where one of the two models compared does better, where nobody can tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from matplotlib.figure import Figure

from pipeline.report.evidence.scores import alike
from pipeline.report.evidence.tests import ALPHA
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Table, bold, name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import ClassDifference, Study
from pipeline.report.words.english import join, number_word, opened, plural
from pipeline.report.words.numbers import percent, points, signed
from pipeline.report.words.phrases import of_one_seed
from pipeline.report.words.sentence import Sentence

MOST_NAMED = 3
MOST_DRAWN = 24  # classes in the figure, the hardest
MOST_MARKS = 6  # models in the figure
MOST_LISTED = 30  # classes listed one by one
REFERENCES = ("fig-per-class", "tbl-per-class")


@dataclass(frozen=True)
class Facts:
    """Recall of the best model, and how the two models compared differ, by class."""

    classes: Sequence[str]
    best: Model
    recall: Mapping[int, float]  # of the best on val, its chosen seed; classes with test images alone
    pair: tuple[Model, Model] | None
    differences: Sequence[ClassDifference]  # first of the pair minus second
    support: Mapping[int, int]  # test images of each class
    p: float  # that chance alone makes recalls as unlike

    def ahead(self, sign: int) -> list[ClassDifference]:
        """Return the classes in which the first (1) or second (-1) is better beyond noise, most first."""
        known = [d for d in self.differences if d.distinguishable and d.difference.value * sign > 0]
        return sorted(known, key=lambda d: -abs(d.difference.value))


def facts(study: Study) -> Facts | None:
    """Return the facts by class; None without a model."""
    best = study.best
    if best is None:
        return None
    support = {k: int(n) for k, n in enumerate(best.metrics.support) if n}
    recall = {k: float(best.metrics.recall[k]) for k in support}
    right = np.array([best.metrics.confusion_matrix[k, k] for k in support])
    p = alike(right, np.array(list(support.values())))
    pair = study.pair if study.learned else None  # models that learned nothing are not compared
    return Facts(study.classes, best, recall, pair, study.per_class, support, p)


def words(study: Study) -> Words:
    """Say which classes are hard, and where one of the two models does better."""
    found = facts(study)
    return Words(study, [_hardest(found), _helps(found)] if found else [], told=REFERENCES)


def _hardest(found: Facts) -> Sentence:
    """Name the class that the best model recognises least and the one it recognises best."""
    best, recall = found.best, found.recall
    low, high = min(recall.values()), max(recall.values())
    hard, easy = ([k for k, share in recall.items() if share == end] for end in (low, high))
    easiest = f"most often in {_quoted(found, easy)} ({percent(high)})"
    if high == 1:
        easiest = f"always in {_quoted(found, easy)}"
    tail = "" if found.p < ALPHA else "; chance alone could part classes of so few images as far"
    text = (
        f"{opened(best.spoken)}{of_one_seed(best)} is right least often in {_quoted(found, hard)} "
        f"({_share(found, hard, low)}) and {easiest}{tail}."
    )
    if low == high:
        who = f"{opened(best.spoken)}{of_one_seed(best)}"
        text = f"{who} gets the same share of every class right, {percent(low)}."
    evidence = {
        "model": best, "lowest": low, "highest": high, "hardest": hard, "easiest": easy, "p": found.p
    }  # fmt: skip
    return Sentence(text, "classes.hardest", evidence, ("tbl-per-class", "fig-confusion"))


def _share(found: Facts, classes: Sequence[int], recall: float) -> str:
    """84.4 % of its 45 images; of several classes the share alone."""
    if len(classes) > 1:
        return percent(recall)
    images = found.support[classes[0]]
    return f"{percent(recall)} of its {plural(images, 'image')}" if images > 1 else "its one image"


def _quoted(found: Facts, classes: Sequence[int]) -> str:
    """Name one class or a few equal ones, and count many."""
    if len(classes) <= MOST_NAMED:
        return join([f"“{found.classes[k]}”" for k in classes])
    return f"{number_word(len(classes))} classes"


def _helps(found: Facts) -> Sentence | None:
    if found.pair is None:
        return None
    first, second = found.pair
    better, worse = found.ahead(1), found.ahead(-1)
    ahead = {key: [found.classes[d.target] for d in of] for key, of in (("better", better), ("worse", worse))}
    evidence = {"first": first, "second": second, **ahead}
    versus = f"Against {second.spoken}, {first.spoken}"
    if not better and not worse:
        width = median((d.difference.high - d.difference.low) / 2 for d in found.differences)
        text = (
            f"{versus} is neither better nor worse beyond noise in any single class; the difference within "
            f"one class is only known to about ±{points(width)}."
        )
        return Sentence(text, "classes.none", evidence, REFERENCES)
    parts = [
        f"does {how} in {_count(found, of)} beyond noise, {_named(found, of)}"
        for how, of in (("better", better), ("worse", worse))
        if of
    ]
    everywhere = len(found.differences) in (len(better), len(worse))
    tail = "" if everywhere or (better and worse) else f", and {'worse' if better else 'better'} in none"
    text = f"{versus} {', but '.join(parts)}{tail}{_averaged(first, second)}."
    return Sentence(text, "classes.differences", evidence, REFERENCES)


def _averaged(*models: Model) -> str:
    """Say that class by class, too, seeds are averaged, or that one training speaks for a model."""
    if all(len(model.records) == 1 for model in models):
        return ", of these two trained networks"
    return " (means over seeds)"


def _count(found: Facts, ahead: Sequence[ClassDifference]) -> str:
    total = number_word(len(found.differences))
    if len(ahead) == len(found.differences):
        return f"all {total} classes"
    return f"{number_word(len(ahead))} of {total} classes"


def _named(found: Facts, ahead: Sequence[ClassDifference]) -> str:
    named = [f"“{found.classes[d.target]}” ({signed(d.difference.value)} points)" for d in ahead[:MOST_NAMED]]
    return f"most of all in {join(named)}" if len(ahead) > MOST_NAMED else f"namely {join(named)}"


def _title(study: Study) -> str:
    """Say who is ahead in how many classes, or which is the hardest."""
    found = facts(study)
    assert found is not None
    ahead, behind = found.ahead(1), found.ahead(-1)
    if found.pair and (ahead or behind):
        first, second = (letters(study)[model.key] for model in found.pair)
        who, most = (first, ahead) if len(ahead) >= len(behind) else (second, behind)
        one = most[0]
        size = points(one.difference.value)
        second, fewer = (second, behind) if who == first else (first, ahead)
        other = f", {second} in {len(fewer)}" if fewer else ""
        return (
            f"{who} is ahead in {len(most)} of {len(found.differences)} classes{other}, most in "
            f"“{short(found.classes[one.target], 24)}” by {size}"
        )
    least = min(found.recall.values())
    hardest = [k for k, recall in found.recall.items() if recall == least]
    if len(hardest) == len(found.recall) > 1:
        return f"No class is harder than another: {percent(least, 0)} recognised in each"
    if len(hardest) > 1:
        return (
            f"{plural(len(hardest), 'class', 'classes')} are hardest: {percent(least, 0)} recognised in each"
        )
    it, share = short(found.classes[hardest[0]], 40), percent(least, 0)
    if found.p >= ALPHA:
        return f"“{it}” has the lowest recall, {share}, which chance could make of so few images"
    return f"“{it}” is hardest: {share} of its images are recognised"


@floats.figure(
    "fig-per-class",
    "Recall: the share of each class’s test images that a model gets right, hardest on top. Lines join the "
    "two compared, where beyond noise.",
    _title,
    alternative="For each class a row of marks, one a model: the share of its images that the model gets "
    "right.",
    data=lambda study: _recalls(study),
)
def figure(study: Study) -> Figure:
    """Draw the recall of each class for every model, the hardest class on top."""
    shown, styles = floats.shown_models(study, MOST_MARKS), theme.model_styles(study)
    recall = {model.key: recalls(model) for model in shown}
    mean = np.nanmean([recall[model.key] for model in shown], axis=0)
    ranked = [int(k) for k in np.argsort(mean) if np.isfinite(mean[k])][:MOST_DRAWN]
    known = {one.target for one in study.per_class if one.distinguishable}
    drawing = theme.figure(0.9 + 0.27 * len(ranked))
    axes = drawing.subplots()
    for place, k in enumerate(ranked):
        if k in known and study.pair:
            ends = [recall[model.key][k] for model in study.pair if model.key in recall]
            axes.plot(ends, [place] * len(ends), color=theme.BAR.light, lw=2, zorder=1)
        for model in shown:
            style = styles[model.key]
            axes.plot(
                recall[model.key][k], place, style.marker, color=style.color, mec=theme.PAPER.light, ms=8
            )
    axes.set_yticks(range(len(ranked)), [short(study.classes[k], 24) for k in ranked])
    axes.set(ylim=(len(ranked) - 0.4, -0.6), xlabel="recall on test")
    theme.percent(axes.xaxis)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    theme.legend(drawing, study, shown)
    return drawing


def recalls(model: Model) -> np.ndarray:
    """Return the share right of each class, mean over seeds, NaN for a class without test images."""
    support = np.asarray(model.metrics.support)
    found = np.mean([one.recall for one in model.metrics_per_seed], axis=0)
    return np.where(support > 0, found, np.nan)


def _recalls(study: Study) -> Table:
    shown = {model.label: recalls(model) for model in study.models}
    rows = [
        [name(k_name, 300), *(f"{values[k]:.6g}" for values in shown.values())]
        for k, k_name in enumerate(study.classes)
    ]
    return table(["Class", *map(name, shown)], rows, "l" + "r" * len(shown))


@floats.table(
    "tbl-per-class",
    "Chosen seeds of the models compared.",
    lambda study: f"Precision, recall and F1 of {_which(study)}",
)
def scores(study: Study) -> Table:
    """List precision, recall and F1 of each class for the two models that the report compares."""
    pair = study.pair or (study.best or study.models[0],)
    marks = letters(study)
    header = ["Class", "Images"]
    for model in pair:
        mark = f"{marks[model.key]}: " if len(study.models) > 1 else ""
        header += [f"{mark}precision", "recall", "F1"]
    rows = [_class_row(study, pair, k) for k in listed_classes(study)]
    return table(header, rows, "lr" + "rrr" * len(pair))


def _class_row(study: Study, pair: Sequence[Model], k: int) -> list[str]:
    found = [(m.precision[k], m.recall[k], m.f1[k]) for m in (model.metrics for model in pair)]
    images = int(pair[0].metrics.support[k])
    if not images:
        return [name(study.classes[k]), "0", *[NONE] * 3 * len(pair)]
    return [name(study.classes[k]), f"{images:,}", *(percent(float(s)) for one in found for s in one)]


@floats.table(
    "tbl-f1",
    "Chosen seed of every model, best in bold.",
    lambda study: f"F1 of {_which(study)}",
    when=floats.two_models,
)
def f1(study: Study) -> Table:
    """List the F1 of each class for every model, the best in bold."""
    shown, marks = floats.shown_models(study), letters(study)
    rows = []
    for k in listed_classes(study):
        found = [float(model.metrics.f1[k]) for model in shown]
        worth = max(found) > min(found)  # of equals, as of a row of zeros, none is the best
        cells = [bold(percent(score), worth and score == max(found)) for score in found]
        if not shown[0].metrics.support[k]:
            cells = [NONE] * len(shown)  # no test image of the class
        rows.append([name(study.classes[k]), *cells])
    return table(["Class", *(marks[model.key] for model in shown)], rows, "l" + "r" * len(shown))


def _which(study: Study) -> str:
    many = len(study.classes) > MOST_LISTED
    return f"the {MOST_LISTED} classes with the lowest mean F1" if many else "each class"


def listed_classes(study: Study) -> list[int]:
    """Return the classes that tables list: all, or of many those with the lowest mean F1."""
    found = np.mean([model.metrics.f1 for model in study.models], axis=0)
    hardest = np.argsort(found, kind="stable")[:MOST_LISTED]
    return sorted(int(k) for k in hardest) if len(found) <= MOST_LISTED else [int(k) for k in hardest]
