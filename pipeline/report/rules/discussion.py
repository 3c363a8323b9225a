"""Advantages and costs of transfer learning against training from scratch, point by point.

Each sentence says in its evidence whom it favours, by the model's key; None where these runs leave
the point open.
"""

from typing import Any

from pipeline.report.evidence.costs import over_seeds, ratio_of
from pipeline.report.evidence.learning import seconds_to
from pipeline.report.evidence.significance import ClassDifference
from pipeline.report.model import Model
from pipeline.report.rules.answer import same_network
from pipeline.report.rules.price import bill_evidence, compared
from pipeline.report.study import Study
from pipeline.report.words.english import duration, join, number_word, percent, plural, points
from pipeline.report.words.phrases import evidence_of, pair_of, sizes_differ, test_words, tie_words
from pipeline.report.words.sentence import Sentence


def discussion(study: Study) -> list[Sentence]:
    """Weigh the report's two models against each other; nothing for fewer than two."""
    pair = pair_of(study)
    if pair is None:
        return []
    found = [
        _accuracy(study, *pair), _data(study, *pair), _speed(*pair), *_cost(*pair), _confidence(*pair),
        *_classes(study, *pair), _past(study, *pair),
    ]  # fmt: skip
    return [sentence for sentence in found if sentence]


def _point(
    text: str, topic: str, favours: Model | None, evidence: dict[str, Any], *references: str
) -> Sentence:
    evidence = {**evidence, "favours": favours.key if favours else None}
    return Sentence(text, f"tradeoffs.{topic}", evidence, list(references))


def _accuracy(study: Study, first: Model, second: Model) -> Sentence:
    test = study.test(first, second)
    evidence = evidence_of(test)
    if not test.distinguishable:
        return _point(f"Accuracy: {tie_words(test)}.", "accuracy", None, evidence, "tbl-tests")
    better = first if test.difference.value > 0 else second
    text = f"Accuracy: {points(test.difference.value)} more on test ({test_words(test)})."
    return _point(text, "accuracy", better, evidence, "tbl-tests")


def _data(study: Study, first: Model, second: Model) -> Sentence | None:
    """Say what pretrained weights are worth at this number of images, on one and the same network."""
    pair = same_network(study)
    if pair is None or study.dataset is None or not first.pretrained or second.pretrained:
        return None
    warm, cold = pair
    test, images = study.test(warm, cold), study.dataset.split_sizes.get("train", 0)
    evidence = {**evidence_of(test), "train_images": images}
    size = " and another image size" if sizes_differ(warm, cold) else ""
    start, source = f"Need of data: with its pretrained weights{size}", f"the same {images:,} training images"
    gain = test.difference.value > 0
    if not test.distinguishable:
        text = f"{start}, {warm.name} does not get more out of {source}: {tie_words(test)}."
    else:
        size = f"{points(test.difference.value)} {'more' if gain else 'less'}"
        text = f"{start}, {warm.name} gets {size} out of {source} ({test_words(test)})."
    favours = None if not test.distinguishable else first if gain else second
    return _point(text, "data", favours, evidence, "fig-three-ways", "tbl-tests")


def _speed(first: Model, second: Model) -> Sentence | None:
    """Compare how much training each takes to the val accuracy that every run of both reaches."""
    records = [*first.records, *second.records]
    if any(record.history.empty for record in records):
        return None
    level = min(float(record.history["val_accuracy"].max()) for record in records)
    mine, theirs = (over_seeds([seconds_to(r, level) for r in group.records]) for group in (first, second))
    ratio = ratio_of(mine, theirs)
    evidence = {"val_accuracy": level, first.key: mine.value, second.key: theirs.value}
    if ratio is None:
        span = duration(min(mine.value, theirs.value))
        text = f"Time to a given accuracy: both reach {percent(level)} on val after about {span} of training."
        return _point(text, "speed", None, evidence, "fig-curves")
    fast, slow = (first, second) if ratio < 1 else (second, first)
    short, long = sorted((mine.value, theirs.value))
    text = (
        f"Time to a given accuracy: it reaches {percent(level)} on val after {duration(short)} of training, "
        f"{slow.spoken} after {duration(long)}."
    )
    return _point(text, "speed", fast, evidence, "fig-curves")


def _cost(first: Model, second: Model) -> list[Sentence]:
    """Give each model the costs that are lower for it, and nobody those that are about the same."""
    if first.cost is None or second.cost is None:
        return []
    _, less, same = compared(first.cost, second.cost)
    _, less_of_second, _ = compared(second.cost, first.cost)
    evidence = bill_evidence(first, second)
    found = [
        _point(f"Cost: it {join(phrases)}.", "cost", group, evidence, "tbl-cost", "fig-pareto")
        for group, phrases in ((first, less), (second, less_of_second))
        if phrases
    ]
    if same:
        verb = "is" if len(same) == 1 else "are"
        text = f"Cost: {join(same)} {verb} about the same."
        found.append(_point(text, "cost", None, evidence, "tbl-cost"))
    return found


def _confidence(first: Model, second: Model) -> Sentence:
    """Favour the model whose confidence is off by no more than chance, where the other's is."""
    wrong = [group.calibration.before.miscalibrated for group in (first, second)]
    errors = [percent(group.calibration.before.ece) for group in (first, second)]
    evidence = {group.key: group.calibration.before.ece for group in (first, second)}
    references = ("tbl-calibration", "fig-calibration")
    if wrong[0] == wrong[1]:
        whose = "that of neither is" if wrong[0] else "those of both are"
        each = f"{errors[0]} for {first.spoken}, {errors[1]} for {second.spoken}"
        text = f"Honest confidence: {whose} within chance of the truth (ECE {each})."
        return _point(text, "confidence", None, evidence, *references)
    fair, other = (second, first) if wrong[0] else (first, second)
    mine, theirs = errors[::-1] if wrong[0] else errors
    text = (
        f"Honest confidence: it is off by no more than chance (ECE {mine}), that of {other.spoken} by more "
        f"({theirs})."
    )
    return _point(text, "confidence", fair, evidence, *references)


def _classes(study: Study, first: Model, second: Model) -> list[Sentence]:
    """Count the classes in which each is ahead beyond noise."""
    differences = study.per_class(first, second)
    known = [found for found in differences if found.distinguishable]
    references, total = ("fig-per-class", "tbl-per-class"), number_word(len(differences))
    if not known:
        text = f"Single classes: no difference beyond noise in any of the {total}."
        return [_point(text, "classes", None, {"ahead": []}, *references)]
    ahead = [found for found in known if found.difference.value > 0]
    behind = [found for found in known if found.difference.value < 0]
    return [
        _point(
            f"Single classes: ahead beyond noise in {number_word(len(won))} of {total}, {_most(study, won)}.",
            "classes",
            group,
            {"ahead": [study.classes[found.target] for found in won]},
            *references,
        )
        for group, won in ((first, ahead), (second, behind))
        if won
    ]


def _most(study: Study, won: list[ClassDifference]) -> str:
    best = max(won, key=lambda found: abs(found.difference.value))
    start = "most in" if len(won) > 1 else "namely"
    return f"{start} “{study.classes[best.target]}” by {points(best.difference.value)}"


def _past(study: Study, first: Model, second: Model) -> Sentence | None:
    """State what no measurement shows: whether all that a model learned from can be looked at."""
    if not first.pretrained or second.pretrained or study.dataset is None:
        return None
    images = study.dataset.split_sizes.get("train", 0)
    text = (
        f"A known past: all that it knows comes from {plural(images, 'training image')} that can be looked "
        f"at; what {first.spoken} has seen before cannot."
    )
    return _point(text, "past", second, {"train_images": images}, "tbl-models")
