"""The two sides of the report's question set beside each other, and advice by situation."""

from collections.abc import Callable, Iterator

from IPython.display import Markdown

from pipeline.report import verdict
from pipeline.report.evidence.costs import Cost, ratio_of
from pipeline.report.evidence.interval import Interval
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.tables.markdown import name, needs_models, nothing, table
from pipeline.report.words.english import data_size, duration, energy, latency, opened, percent, quantity

LEVEL = "neither"
Row = tuple[str, Callable[[Cost], Interval | int], Callable[[float], str]]
COSTS: tuple[Row, ...] = (
    ("Training", lambda cost: cost.train_seconds, duration),
    ("Answer for one image", lambda cost: cost.latency_seconds, latency),
    ("Parameters", lambda cost: cost.total_parameters, quantity),
    ("Multiply-adds for one image", lambda cost: cost.macs, quantity),
    ("Peak memory", lambda cost: cost.peak_memory_bytes, data_size),
)


@needs_models
def tradeoffs(study: Study) -> Markdown:
    """Compare the report's two models in everything that was measured, and say whom each favours."""
    pair = verdict.pair_of(study)
    if pair is None:
        return nothing("A comparison takes two models.")
    header = ["What counts", *(name(group.label) for group in pair), "In favour of"]
    rows = [_accuracy(study, *pair), _classes(study, *pair), _confidence(*pair), *_costs(*pair), _past(*pair)]
    return table(header, rows, "llll")


def _accuracy(study: Study, first: Model, second: Model) -> list[str]:
    test = study.test(first, second)
    better = first if test.difference.value > 0 else second
    scores = [percent(group.accuracy.value) for group in (first, second)]
    return ["Accuracy on test", *scores, name(better.label) if test.distinguishable else LEVEL]


def _classes(study: Study, first: Model, second: Model) -> list[str]:
    """Count the classes in which each is ahead beyond noise."""
    known = [found for found in study.per_class(first, second) if found.distinguishable]
    ahead = sum(found.difference.value > 0 for found in known)
    counts = [ahead, len(known) - ahead]
    favoured = LEVEL if not known else "each in some" if all(counts) else (first if ahead else second).label
    words = [f"{count} of {len(study.classes)}" for count in counts]
    return ["Classes ahead in, beyond noise", *words, name(favoured)]


def _confidence(first: Model, second: Model) -> list[str]:
    """Favour a model whose confidence can be trusted over one whose confidence cannot."""
    measured = [group.calibration.before for group in (first, second)]
    wrong = [found.miscalibrated for found in measured]
    favoured = LEVEL if wrong[0] == wrong[1] else name((second if wrong[0] else first).label)
    words = {True: "", False: ", within chance"}
    errors = [f"{percent(found.ece)}{words[found.miscalibrated]}" for found in measured]
    return ["Error of its confidence (ECE)", *errors, favoured]


def _costs(first: Model, second: Model) -> Iterator[list[str]]:
    if first.cost is None or second.cost is None:
        return
    for what, price, show in _costs_known(first.cost, second.cost):
        mine, theirs = (_measured(price(cost)) for cost in (first.cost, second.cost))
        ratio = ratio_of(mine, theirs)
        favoured = LEVEL if ratio is None else name((first if ratio < 1 else second).label)
        yield [what, show(mine.value), show(theirs.value), favoured]


def _costs_known(first: Cost, second: Cost) -> Iterator[Row]:
    """Yield what both models' runs measured: energy only where the machine could count it."""
    yield from COSTS
    if first.energy_joules and second.energy_joules:
        yield "Energy to train", lambda cost: cost.energy_joules or 0, energy


def _measured(value: Interval | int) -> Interval:
    return value if isinstance(value, Interval) else Interval(value, value, value)


def _past(first: Model, second: Model) -> list[str]:
    """State what each had seen before; whether that is for or against it, the reader decides."""
    seen = []
    for group in (first, second):
        weights = group.network.weights_name if group.network else None
        seen.append(name(weights or "others’ images", 30) if group.pretrained else "nothing")
    return ["Seen before these images", *seen, LEVEL if seen[0] == seen[1] else "depends on the use"]


@needs_models
def recommendations(study: Study) -> Markdown:
    """List what the runs recommend in each situation, and on which ground."""
    found = verdict.recommendations(study)
    rows = [[name(one.situation), name(opened(one.choice), 60), one.sentence.markdown] for one in found]
    return table(["Situation", "Choose", "Because"], rows, "lll")
