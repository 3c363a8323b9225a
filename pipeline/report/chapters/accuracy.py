"""Accuracy: who is more accurate than whom, and which differences are noise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.evidence.baselines import Baseline
from pipeline.report.evidence.interval import Score
from pipeline.report.evidence.per_image import f1_scores
from pipeline.report.evidence.tests import compare_scores
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Cell, Table, bold, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import Claim, Standing, claim, every_claim, standing
from pipeline.report.words.english import escape_markdown, join, number_word, opened, plural
from pipeline.report.words.numbers import NBSP, percent, percent_range, points
from pipeline.report.words.phrases import MOST_NAMED, best_on_val, commonest, spoken_list
from pipeline.report.words.sentence import Sentence

F1_APART = 0.02  # macro F1 this far from accuracy is worth a sentence

TOLD = ("fig-accuracy", "tbl-headline")  # beside these sentences


@dataclass(frozen=True)
class Facts:
    """Scores on test of the models, in params order, and their tests against each other."""

    accuracy: Mapping[Model, Score]
    f1_macro: Mapping[Model, Score]
    commonest: float  # share of the commonest class among the test images
    leader: Standing  # of the best on val to all others
    title: str  # what it is on val: the best, or one of several equals
    unlearned: Sequence[Model]  # that cannot be told from always naming the commonest class
    margin: float  # the difference that matters
    claims: Sequence[Claim]  # of every pair
    below: Sequence[tuple[Model, Baseline]]  # models, each with a simple answer that it does not beat
    uneven: Sequence[Model]  # whose macro F1 differs from their accuracy beyond noise


def facts(study: Study) -> Facts | None:
    """Return the scores and their tests; None without a model."""
    if study.best is None:
        return None
    return Facts(
        accuracy={model: model.accuracy for model in study.models},
        f1_macro={model: model.f1_macro for model in study.models},
        commonest=commonest(study),
        leader=standing(study, study.best),
        title=best_on_val(study, study.best),
        unlearned=study.unlearned,
        margin=study.margin,
        claims=[one for one in every_claim(study) if {one.first, one.second} <= set(study.learned)],
        below=study.below_baselines,
        uneven=[model for model in study.models if _f1_differs(model)],
    )


def _f1_differs(model: Model) -> bool:
    """Whether macro F1 differs from accuracy beyond noise, image by image."""
    split, predicted = model.chosen_test, np.stack([one.predicted for one in model.test])
    f1 = f1_scores(split.target, predicted, split.probability.shape[1])
    return compare_scores({"f1": f1, "accuracy": model.correct.astype(float)})[0].distinguishable


def words(study: Study) -> Words:
    """Say how accurate the models are: simple answers first, then the scores."""
    return Words(study, [*baseline_words(study), *score_words(study)])


def baseline_words(study: Study) -> Words:
    """Name the models that do not beat a simple answer."""
    found = facts(study)
    return Words(study, [_below_baselines(found)] if found else [], TOLD)


def score_words(study: Study) -> Words:
    """Say how accurate the models are: chance first, range, leader, ties, luck, macro F1, seeds."""
    found = facts(study)
    say = (_chance, _range, _leader, _ties, _trained_again, _macro_f1, _seeds)
    return Words(study, [one(found) for one in say] if found else [], TOLD)


def _range(found: Facts) -> Sentence:
    ranked = sorted(found.accuracy, key=lambda model: found.accuracy[model].value)
    low, high = ranked[0], ranked[-1]
    least, most = found.accuracy[low], found.accuracy[high]
    kind = "range"
    text = (
        f"Test accuracy runs from {percent(least.value)} ({low.spoken}) to {percent(most.value)} "
        f"({high.spoken})."
    )
    if low is high:
        kind = "one"
        text = (
            f"{opened(low.spoken)} gets {percent(least.value)} of the test images right; other images of the "
            f"same kind could have given {percent_range(least.low, least.high)}."
        )
    elif percent(least.value) == percent(most.value):
        kind = "same"
        text = f"{opened(spoken_list(list(found.accuracy)))} reach the same {percent(least.value)} on test."
    evidence = {model: score.value for model, score in found.accuracy.items()}
    return Sentence(text, f"accuracy.{kind}", evidence, ("tbl-headline", "fig-accuracy"))


def _chance(found: Facts) -> Sentence:
    """State the accuracy of always answering the commonest class of the test images."""
    share = found.commonest
    below = found.unlearned
    text = f"Always naming the commonest class of the test images would score {percent(share)}"
    if below:
        does = "does" if len(below) == 1 else "do"
        text += f", and {spoken_list(below)} {does} not beat that beyond noise"
    evidence = {"share": share, "not_above": below}
    return Sentence(f"{text}.", "accuracy.chance", evidence, ("tbl-headline",))


def _below_baselines(found: Facts) -> Sentence | None:
    """Name the models that do not beat answers which no network was trained for."""
    if not found.below:
        return None
    rivals = list(dict.fromkeys(rival for _, rival in found.below))
    together: dict[str, list[str]] = {}  # who does not beat → which
    for rival in rivals:
        below = [model for model, other in found.below if other is rival]
        start = f"{spoken_list(below)} {'does' if len(below) == 1 else 'do'} not beat"
        together.setdefault(start, []).append(f"{rival.name} ({percent(rival.accuracy.value)})")
    parts = [f"{start} {join(names, 'or')}" for start, names in together.items()]
    text = f"{opened(join(parts))} beyond noise."
    evidence = {
        "not_above": [{"model": model, "baseline": other.name} for model, other in found.below],
        "baselines": {rival.name: rival.accuracy.value for rival in rivals},
    }
    return Sentence(text, "accuracy.baselines", evidence, ("tbl-headline",))


def _leader(found: Facts) -> Sentence | None:
    leader = found.leader
    if not leader.claims:
        return None
    text = f"{opened(leader.model.spoken)}, {found.title}, {_place(leader)}."
    evidence = {"leader": leader.model, "tests": leader.evidence}
    return Sentence(text, "accuracy.leader", evidence, ("tbl-tests",))


def _place(leader: Standing) -> str:
    beaten, ahead = leader.beaten, leader.ahead
    equivalent, undecided = leader.equivalent, leader.undecided
    if not ahead and not equivalent and not undecided:
        rest = (
            "the other model" if len(beaten) == 1 else f"each of the other {number_word(len(beaten))} models"
        )
        return f"is more accurate on test than {rest} beyond noise{_of_runs(leader)}"
    parts = []
    if equivalent:
        margin = points(leader.claims[0].test.margin)
        parts.append(f"is equivalent to {spoken_list(equivalent)} on test, within {margin}")
    if undecided:
        parts.append(f"cannot be told from {spoken_list(undecided, 'or')} on test")
    if ahead:
        parts.append(f"is less accurate on test than {spoken_list(ahead)} beyond noise")
    if beaten:
        rest = spoken_list(beaten) if len(beaten) <= MOST_NAMED else f"the other {number_word(len(beaten))}"
        parts.append(f"is more accurate than {rest} beyond noise")
    return join(parts, "but") + _of_runs(leader)


def _of_runs(leader: Standing) -> str:
    if not leader.of_runs:
        return ""
    models = [leader.model, *(claim.second for claim in leader.claims)]
    single = all(len(model.records) == 1 for model in models)
    return f"; this is of the trained networks{', one seed each' if single else ''}"


def _ties(found: Facts) -> Sentence | None:
    """Count the pairs in which one is better, and name those in which neither is."""
    pairs = len(found.claims)
    if pairs < 2:
        return None
    tied = [claim for claim in found.claims if not claim.settled]
    level = sum(claim.equivalent for claim in found.claims)
    if not tied:
        text = f"All {number_word(pairs)} pairs of models differ beyond noise"
    elif len(tied) == pairs:
        text = f"In none of the {number_word(pairs)} pairs of models is one better beyond noise"
    else:
        differ = pairs - len(tied)
        cannot = "those that do not are" if len(tied) > 1 else "the one that does not is"
        text = (
            f"Of the {number_word(pairs)} pairs of models, {number_word(differ)} "
            f"{'differs' if differ == 1 else 'differ'} beyond noise; {cannot} {_named(tied)}"
        )
    if level:
        count = "all" if 1 < level == len(tied) else number_word(level)
        text += f"; {count} of these {'is' if level == 1 else 'are'} equivalent within {points(found.margin)}"
    turned = sum(claim.test.corrected for claim in found.claims)
    if turned:
        text += f". Correcting for all pairs together (Holm) changed the verdict of {number_word(turned)}"
    evidence = {"pairs": pairs, "equivalent": level, "ties": [claim.evidence for claim in tied]}
    text += "."
    return Sentence(text, "accuracy.ties", evidence, ("tbl-tests",))


def _named(tied: Sequence[Claim]) -> str:
    names = [f"{claim.first.spoken} and {claim.second.spoken}" for claim in tied[:MOST_NAMED]]
    more = len(tied) - len(names)
    return "; ".join([*names, plural(more, "other pair")] if more else names)


def _trained_again(found: Facts) -> Sentence | None:
    """Say how probably the leader would win again with other trainings, against the nearest model."""
    known = [one for one in found.leader.claims if one.test.beats]
    if not known:
        return None
    nearest = min(known, key=lambda one: abs(one.test.difference))
    ahead, behind = nearest.ranked
    text = (
        f"Another training of {ahead.spoken} would do better on these images than another of {behind.spoken} "
        f"with a probability of {nearest.luck}."
    )
    return Sentence(text, "accuracy.trained-again", nearest.evidence, ("tbl-tests",))


def _macro_f1(found: Facts) -> Sentence | None:
    """Point at the model whose macro F1 is furthest from its accuracy, where that is far."""
    gaps = {
        model: score.value - found.accuracy[model].value
        for model, score in found.f1_macro.items()
        if model in found.uneven
    }
    if not gaps:
        return None
    model = max(gaps, key=lambda one: abs(gaps[one]))
    f1, gap = found.f1_macro[model].value, gaps[model]
    if abs(gap) < F1_APART:
        return None
    side = "below" if gap < 0 else "above"
    text = (
        f"Macro F1, in which every class counts alike, is {points(gap)} {side} accuracy for {model.spoken} "
        f"({percent(f1)}), beyond noise."
    )
    evidence = {"model": model, "f1_macro": f1, "accuracy": found.accuracy[model].value}
    return Sentence(text, "accuracy.macro-f1", evidence, ("tbl-headline",))


def _seeds(found: Facts) -> Sentence | None:
    several = {model: score for model, score in found.accuracy.items() if len(score.per_seed) > 1}
    if not several:
        return None
    widest = max(several, key=lambda model: several[model].spread[1] - several[model].spread[0])
    low, high = several[widest].spread
    text = (
        f"From seed to seed, accuracy moves by {points(high - low)} at most ({widest.spoken}, "
        f"{percent_range(low, high)}); the intervals of models with several seeds allow for that too."
    )
    evidence = {model: list(score.per_seed) for model, score in several.items()}
    return Sentence(text, "accuracy.seeds", evidence, ("fig-accuracy",))


def _title(study: Study) -> str:
    """Say how the best on val stands to the others, by their letters."""
    found = facts(study)
    assert found is not None
    leader, marks = found.leader, letters(study)
    mine = marks[leader.model.key]
    if not leader.claims:
        return f"{mine} gets {percent(leader.model.accuracy.value)} of the test images right"
    if len(leader.beaten) == len(leader.claims):
        rest = f"{marks[leader.beaten[0].key]}" if len(leader.claims) == 1 else "all others"
        return f"{mine} is ahead of {rest}, beyond noise"
    groups = (
        ("ahead of {}", leader.beaten), ("level with {}", leader.equivalent),
        ("not told from {}", leader.undecided), ("behind {}", leader.ahead),
    )  # fmt: skip
    parts = [words.format(_letters(study, models)) for words, models in groups if models]
    return f"{mine}, best on val, is {join(parts, 'and')}"


def _letters(study: Study, models: Sequence[Model]) -> str:
    marks = [letters(study)[model.key] for model in models]
    return join(marks) if len(marks) <= 2 * MOST_NAMED else f"{number_word(len(marks))} others"


def grouped(study: Study) -> list[Model]:
    """Return the models by network, networks and the modes of each with the highest accuracy first."""
    best: dict[str, float] = {}
    for model in study.models:
        best[model.name] = max(best.get(model.name, 0), model.test_accuracy)
    return sorted(study.models, key=lambda m: (-best[m.name], m.name, -m.test_accuracy))


@floats.figure(
    "fig-accuracy",
    "Bars: 95 % intervals over test images and, with several seeds, trainings; ticks: seeds. Right: minus "
    "the "
    "best on val; grey: too little to matter.",
    _title,
    alternative="Dots with interval bars: test accuracy of each model, grouped by network, and its "
    "difference "
    "from the best on val.",
    data=lambda study: score_table(study),
)
def figure(study: Study) -> list[Figure]:
    """Draw each model's accuracy with its interval, grouped by network, and its difference from the best."""
    ranked = grouped(study)
    drawings = [_draw_accuracies(study, ranked)]
    return [*drawings, _draw_differences(study, ranked)] if len(ranked) > 1 else drawings


def _draw_accuracies(study: Study, ranked: Sequence[Model]) -> Figure:
    styles = theme.model_styles(study)
    drawing = theme.figure(0.75 + 0.4 * len(ranked), theme.PANEL)
    drawing.set_label("accuracy")
    axes = drawing.subplots()
    for place, model in enumerate(ranked):
        _draw_score(axes, place, model.accuracy, styles[model.key])
    theme.tick_names(axes, study, ranked)
    axes.set_xlabel("test accuracy")
    axes.margins(x=0.16)
    theme.percent(axes.xaxis)
    axes.locator_params(axis="x", nbins=4)
    return drawing


def _draw_score(axes: Axes, place: int, score: Score, style: theme.ModelStyle) -> None:
    axes.plot([score.low, score.high], [place, place], color=style.color, lw=2.6, solid_capstyle="butt")
    axes.plot(score.value, place, style.marker, color=style.color, ms=7, mec=theme.PAPER.light)
    if len(score.per_seed) > 1:
        seeds = list(score.per_seed)
        axes.plot(seeds, [place + 0.3] * len(seeds), "|", color=style.color, ms=6, mew=1.3)
    axes.annotate(
        f"{100 * score.value:.1f}",
        (score.value, place),
        (0, 8),
        textcoords="offset points",
        ha="center",
        size=9,
    )


def _draw_differences(study: Study, ranked: Sequence[Model]) -> Figure:
    """Draw how far each model is from the best on val, which stands at zero."""
    styles, best = theme.model_styles(study), study.best
    assert best is not None
    drawing = theme.figure(0.75 + 0.4 * len(ranked), theme.PANEL)
    drawing.set_label("difference")
    axes = drawing.subplots()
    axes.axvspan(-study.margin, study.margin, color=theme.GRID.light, alpha=0.6, lw=0)
    axes.axvline(0, color=styles[best.key].color, lw=1.2)
    for place, model in enumerate(ranked):
        if model is best:
            axes.plot(0, place, styles[best.key].marker, color=styles[best.key].color, ms=7)
            continue
        said, color = claim(study, model, best), styles[model.key].color
        axes.plot([said.test.low, said.test.high], [place, place], color=color, lw=2.2)
        fill = color if said.settled else theme.PAPER.light
        axes.plot(said.test.difference, place, styles[model.key].marker, color=fill, mec=color, mew=1.4, ms=7)
    theme.tick_names(axes, study, ranked, named=False)
    axes.set_xlabel(f"points from {letters(study)[best.key]}")
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:+.3g}" if abs(value) > 1e-9 else "0")
    axes.locator_params(axis="x", nbins=5)
    return drawing


def by_accuracy(study: Study) -> list[Model]:
    return sorted(study.models, key=lambda model: -model.test_accuracy)


@floats.table(
    "tbl-scores",
    "Means over seeds; precision, recall and F1 are macro averages, in which each class counts alike. Val is "
    "what models are chosen by.",
    floats.named("Scores of every model"),
)
def score_table(study: Study) -> Table:
    """List the scores of every model, the most accurate first."""
    header = ["", "Model", "Accuracy", "95 % interval", "Precision", "Recall", "F1", "Val", "Seeds"]
    return table(header, [_scores(study, model) for model in by_accuracy(study)], "llrrrrrrr")


def _scores(study: Study, model: Model) -> list[Cell]:
    score = model.accuracy
    return [
        letters(study)[model.key],
        name(model.label),
        percent(score.value),
        f"{100 * score.low:.1f}–{100 * score.high:.1f}",
        *(percent(model.mean(one)) for one in ("precision_macro", "recall_macro", "f1_macro")),
        percent(model.val_accuracy),
        str(len(model.records)) if model.records else NONE,
    ]


@floats.table(
    "tbl-tests",
    "Above the diagonal: row minus column in points; bold: better, =: equivalent, ?: undecided. Below: p, "
    "Holm-corrected.",
    floats.named("Every pair of models"),
    when=lambda study: len(study.learned) > 1,
)
def tests(study: Study) -> Table:
    """Show every pair: above the diagonal row minus column in points, below it the corrected p value."""
    shown, marks = floats.shown_models(study), letters(study)
    rows = [
        [marks[row.key], name(row.label, 34), *(_pair(study, shown, i, j) for j in range(len(shown)))]
        for i, row in enumerate(shown)
    ]
    return table(["", "Model", *(marks[model.key] for model in shown)], rows, "ll" + "r" * len(shown))


def _pair(study: Study, shown: Sequence[Model], row: int, column: int) -> str:
    if row == column:
        return ""
    if {shown[row], shown[column]} & set(study.unlearned):
        return NONE  # what is not shown to have learned anything is not ranked
    found = claim(study, shown[row], shown[column])
    if row > column:
        p = found.test.p_holm
        return escape_markdown(f"<{NBSP}0.001") if p < 0.001 else f"{p:.3f}"
    if found.settled:
        return bold(found.signed_size)
    return f"{'=' if found.equivalent else '?'} ({found.signed_size})"
