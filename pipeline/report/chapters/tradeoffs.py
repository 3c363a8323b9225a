"""Trade-offs: what speaks for each of the two models that the report compares, and what stays open.

Each sentence says in its evidence whom it favours, by the model's key; null where these runs leave the
point open.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pipeline.report.evidence.costs import Cost, over_seeds, relation, spread_known
from pipeline.report.evidence.interval import Interval
from pipeline.report.evidence.learning import seconds_to
from pipeline.report.look import floats
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, name, table
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import ClassDifference, Study
from pipeline.report.words.claims import Claim, claim, same_network
from pipeline.report.words.english import join, number_word, plural
from pipeline.report.words.numbers import data_size, duration, energy, latency, percent, points, quantity
from pipeline.report.words.prices import bill_evidence, compared, once
from pipeline.report.words.sentence import Sentence

LEVEL = "neither"


@dataclass(frozen=True)
class Speed:
    """Seconds of training to a val accuracy that every run of both models reaches."""

    val_accuracy: float
    first: Interval
    second: Interval


@dataclass(frozen=True)
class Facts:
    """The two models compared, in all that was measured."""

    claim: Claim  # of the first against the second
    same_network: Claim | None
    train_images: int | None  # None where no run recorded them
    speed: Speed | None
    classes: Sequence[str]
    differences: Sequence[ClassDifference]  # of recall, first minus second
    more_honest: Model | None  # whose calibration error is smaller beyond noise

    @property
    def pair(self) -> tuple[Model, Model]:
        return self.claim.first, self.claim.second

    @property
    def known(self) -> list[ClassDifference]:
        """The classes in which one of the two is ahead beyond noise."""
        return [found for found in self.differences if found.distinguishable]


def facts(study: Study) -> Facts | None:
    """Return what was measured of the two models compared; None for fewer than two."""
    if study.pair is None:
        return None
    first, second = study.pair
    return Facts(
        claim=claim(study, first, second),
        same_network=same_network(study),
        train_images=study.dataset.split_sizes.get("train", 0) if study.dataset else None,
        speed=_speeds(first, second),
        classes=study.classes,
        differences=study.per_class,
        more_honest=_more_honest(study),
    )


def _more_honest(study: Study) -> Model | None:
    """Return the model whose calibration error is smaller beyond noise.

    Chance gives perfectly calibrated models an error too, and unlike ones to unlike confidences: the
    difference has to be larger than that of what chance gives.
    """
    test = study.calibration_test
    if test is None or not test.distinguishable:
        return None
    first, second = (model.calibration.before for model in study.compared)  # of the chosen seeds
    by_chance = first.ece_expected - second.ece_expected
    if test.difference < 0:
        return study.compared[0] if first.ece < second.ece and test.family_high < by_chance else None
    return study.compared[1] if second.ece < first.ece and test.family_low > by_chance else None


def _speeds(first: Model, second: Model) -> Speed | None:
    records = [*first.records, *second.records]
    if any(record.history.empty for record in records):
        return None
    level = min(float(record.history["val_accuracy"].max()) for record in records)
    mine, theirs = (over_seeds([seconds_to(r, level) for r in model.records]) for model in (first, second))
    return Speed(level, mine, theirs)


def words(study: Study) -> Words:
    """Weigh the report's two models against each other; nothing for fewer than two."""
    return Words(study, [*case_words(study), *saving_words(study), *past_words(study)])


def _weighed(study: Study) -> Facts | None:
    """Return the facts of two models that both learned."""
    found = facts(study)
    return None if found is None or set(found.pair) & set(study.unlearned) else found


def case_words(study: Study) -> Words:
    """Say which of the two fits whom: by accuracy, images, cost, confidence and class."""
    found = _weighed(study)
    if found is None:
        return Words(study, [])
    return Words(study, [_accuracy(found), _data(found), *_cost(found), _confidence(found), *_classes(found)])


def saving_words(study: Study) -> Words:
    """Say what time pretrained weights save on the way to a given accuracy."""
    found = _weighed(study)
    return Words(study, [_speed(found)] if found else [])


def past_words(study: Study) -> Words:
    """Say what comes along with weights that others made."""
    found = _weighed(study)
    return Words(study, [_past(found)] if found else [])


def _point(
    text: str, topic: str, favours: Model | None, evidence: Mapping[Any, Any], *references: str
) -> Sentence:
    return Sentence(text, f"tradeoffs.{topic}", {**evidence, "favours": favours}, references)


def _accuracy(found: Facts) -> Sentence:
    said = found.claim
    text = f"Accuracy: {said.why_level}."
    if said.settled:
        text = f"Accuracy: {said.ranked[0].spoken} gets {said.size} more on test ({said.support})."
    return _point(text, "accuracy", said.better, said.evidence, "tbl-tests")


def _data(found: Facts) -> Sentence | None:
    """Say what pretrained weights are worth at this number of images, on one and the same network."""
    said, images, (first, second) = found.same_network, found.train_images, found.pair
    if said is None or images is None or not first.pretrained or second.pretrained:
        return None
    if said.first.train_images != said.second.train_images:
        return None
    network, source = said.first.network_name, f"the same {images:,} training images"
    size = f" and another {join(said.mixed_in)}" if said.mixed_in else ""
    start = f"Need of data: with its pretrained weights{size}, {network}"
    text = f"{start} is not shown to get more out of {source}: {said.why_level}."
    if said.equivalent:
        text = f"{start} gets as much out of {source}: {said.why_level}."
    if said.settled:
        text = f"{start} gets {said.size} {said.more} out of {source} ({said.support})."
    favours = {"gain": first, "loss": second}.get(said.outcome)
    evidence = {**said.evidence, "train_images": images}
    return _point(text, "data", favours, evidence, "fig-accuracy", "tbl-tests")


def _speed(found: Facts) -> Sentence | None:
    """Compare how much training each takes to the val accuracy that every run of both reaches."""
    speed, (first, second) = found.speed, found.pair
    if speed is None:
        return None
    how, level = relation(speed.first, speed.second), percent(speed.val_accuracy)
    mine, theirs = duration(speed.first.value), duration(speed.second.value)
    favours = {"less": first, "more": second}.get(how)
    text = (
        f"Time to a given accuracy: both reach {level} on val, after {mine} ({first.spoken}) and {theirs} "
        f"({second.spoken}) of training"
    )
    text += ", about the same." if how == "same" else "; whether these differ the runs cannot tell."
    if favours:
        slow = second if favours is first else first
        short, long = (mine, theirs) if favours is first else (theirs, mine)
        known = spread_known(speed.first) and spread_known(speed.second)
        single = "" if known else f" ({once(speed.first, speed.second)})"
        text = (
            f"Time to a given accuracy: {favours.spoken} reaches {level} on val after {short} of training, "
            f"{slow.spoken} after {long}{single}."
        )
    evidence = {
        "val_accuracy": speed.val_accuracy,
        first.key: speed.first.value,
        second.key: speed.second.value,
    }
    return _point(text, "speed", favours, evidence, "fig-curves")


def _cost(found: Facts) -> Iterator[Sentence]:
    """Give each model the costs that are lower for it, and nobody those that are about the same."""
    first, second = found.pair
    if first.cost is None or second.cost is None:
        return
    mine, theirs = compared(first.cost, second.cost), compared(second.cost, first.cost)
    evidence = bill_evidence(first, second)
    for model, phrases in ((first, mine.less), (second, theirs.less)):
        if phrases:
            yield _point(
                f"Cost: {model.spoken} {join(phrases)}.", "cost", model, evidence, "tbl-cost", "fig-pareto"
            )
    if mine.same:
        verb = "is" if len(mine.same) == 1 else "are"
        yield _point(f"Cost: {join(mine.same)} {verb} about the same.", "cost", None, evidence, "tbl-cost")
    if mine.open:
        verb = "differs" if len(mine.open) == 1 else "differ"
        text = f"Cost: whether {join(mine.open)} {verb} these runs cannot tell."
        yield _point(text, "cost-open", None, evidence, "tbl-cost")


def _confidence(found: Facts) -> Sentence:
    """Favour the model whose confidence is nearer the truth, where the test of both says so."""
    measured = {model: model.calibration.before for model in found.pair}
    error = {model: percent(one.ece) for model, one in measured.items()}
    honest = found.more_honest
    if honest is not None:
        other = next(model for model in found.pair if model is not honest)
        text = (
            f"Honest confidence: the calibration error (ECE) of {honest.spoken} is {error[honest]}, that of "
            f"{other.spoken} {error[other]}, a difference beyond noise."
        )
    else:
        each = ", ".join(f"{words} for {model.spoken}" for model, words in error.items())
        text = f"Honest confidence: no difference beyond noise in the calibration error (ECE {each})."
    evidence = {model: one.ece for model, one in measured.items()}
    favours = honest
    return _point(text, "confidence", favours, evidence, "tbl-calibration", "fig-calibration")


def _classes(found: Facts) -> Iterator[Sentence]:
    """Count the classes in which each is ahead beyond noise."""
    references, total = ("fig-per-class", "tbl-per-class"), number_word(len(found.differences))
    if not found.known:
        text = f"Single classes: no difference beyond noise in any of the {total}."
        yield _point(text, "classes", None, {"ahead": []}, *references)
    for model, sign in zip(found.pair, (1, -1), strict=True):
        won = [one for one in found.known if one.difference.value * sign > 0]
        if won:
            count = f"{number_word(len(won))} of {total}"
            text = f"Single classes: {model.spoken} is ahead beyond noise in {count}, {_most(found, won)}."
            ahead = [found.classes[one.target] for one in won]
            yield _point(text, "classes", model, {"ahead": ahead}, *references)


def _most(found: Facts, won: Sequence[ClassDifference]) -> str:
    best = max(won, key=lambda one: abs(one.difference.value))
    start = "most in" if len(won) > 1 else "namely"
    return f"{start} “{found.classes[best.target]}” by {points(best.difference.value)}"


def _past(found: Facts) -> Sentence | None:
    """State what no measurement shows: whether all that a model learned from can be looked at."""
    images, (first, second) = found.train_images, found.pair
    if images is None or not first.pretrained or second.pretrained:
        return None
    text = (
        f"A known past: all that {second.spoken} knows comes from {plural(images, 'training image')} that "
        f"can be looked at; what {first.spoken} has seen before cannot."
    )
    return _point(text, "past", second, {"train_images": images}, "tbl-models")


Row = tuple[str, Callable[[Cost], Interval | int], Callable[[float], str]]
COSTS: tuple[Row, ...] = (
    ("Training", lambda cost: cost.train_seconds, duration),
    ("Answer for one image", lambda cost: cost.latency_seconds, latency),
    ("Parameters", lambda cost: cost.total_parameters, quantity),
    ("Multiply-adds for one image", lambda cost: cost.macs, quantity),
    ("Peak memory", lambda cost: cost.peak_memory_bytes, data_size),
)


def _title(study: Study) -> str:
    """Count the points for each of the two; what they have seen before is stated, and not measured."""
    first, second = study.compared
    rows = _measured(study)
    won = [sum(row[-1] == name(model.label) for row in rows) for model in (first, second)]
    marks, (some, others) = letters(study), [number_word(count) if count else "none" for count in won]
    return (
        f"Of {number_word(len(rows))} things measured, {some} {'speak' if won[0] > 1 else 'speaks'} for "
        f"{marks[first.key]}{' and' if won[0] else ','} {others} for {marks[second.key]}"
    )


@floats.table(
    "tbl-tradeoffs",
    "Means over seeds. Neither: not told apart, or less than a tenth apart. Cannot be told: runs "
    "vary as much, or single runs differ little.",
    _title,
    when=lambda study: study.pair and study.learned,
)
def beside(study: Study) -> Table:
    """Compare the report's two models in everything that was measured, and say whom each favours."""
    header = ["What counts", *(name(model.label) for model in study.compared), "In favour of"]
    return table(header, [*_measured(study), _seen(*study.compared)], "llll")


def _measured(study: Study) -> list[list[str]]:
    found = facts(study)
    assert found is not None
    return [_accuracies(found), _ahead(found), _eces(found), *_costs(*found.pair)]


def _favoured(model: Model | None) -> str:
    return name(model.label) if model else LEVEL


def _accuracies(found: Facts) -> list[str]:
    return ["Accuracy on test", *found.claim.scores, _favoured(found.claim.better)]


def _ahead(found: Facts) -> list[str]:
    """Count the classes in which each is ahead beyond noise."""
    ahead = sum(one.difference.value > 0 for one in found.known)
    counts = [ahead, len(found.known) - ahead]
    first, second = found.pair
    favoured = "each in some" if all(counts) else _favoured(first if ahead else second)
    words = [f"{count} of {len(found.differences)}" for count in counts]
    return ["Classes ahead in, beyond noise", *words, favoured if found.known else LEVEL]


def _eces(found: Facts) -> list[str]:
    """Favour the model whose confidence is nearer the truth beyond noise."""
    errors = [percent(model.calibration.before.ece) for model in found.pair]
    return ["Error of its confidence (ECE)", *errors, _favoured(found.more_honest)]


def _costs(first: Model, second: Model) -> Iterator[list[str]]:
    if first.cost is None or second.cost is None:
        return
    for what, price, show in _costs_known(first.cost, second.cost):
        mine, theirs = (_interval(price(cost)) for cost in (first.cost, second.cost))
        how = relation(mine, theirs)
        named = {"less": name(first.label), "more": name(second.label), "open": "cannot be told"}
        yield [what, show(mine.value), show(theirs.value), named.get(how, LEVEL)]


def _costs_known(first: Cost, second: Cost) -> Iterator[Row]:
    """Yield what both models' runs measured: energy only where the machine could count it."""
    yield from COSTS
    if first.energy_joules and second.energy_joules:
        yield "Energy to train", lambda cost: cost.energy_joules or 0, energy


def _interval(value: Interval | int) -> Interval:
    return value if isinstance(value, Interval) else Interval(value, value, value)


def _seen(first: Model, second: Model) -> list[str]:
    """State what each had seen before; whether that is for or against it, the reader decides."""
    seen = []
    for model in (first, second):
        weights = model.network.weights_name if model.network else None
        seen.append(name(weights or "others’ images", 30) if model.pretrained else "nothing")
    return ["Seen before these images", *seen, LEVEL if seen[0] == seen[1] else "depends on the use"]
