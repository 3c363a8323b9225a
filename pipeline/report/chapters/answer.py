"""Question and answer: which is more accurate, what it costs, what pretraining itself gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline.report.chapters import data_efficiency, half_answer
from pipeline.report.evidence.baselines import COMMONEST, Baseline
from pipeline.report.look import dots, floats
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import NONE, Cell, Drawn, Table, bold, name, table
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import IF_IT_STAYS, Claim, Standing, claim, same_network
from pipeline.report.words.english import join, number_word, opened
from pipeline.report.words.numbers import data_size, duration, latency, percent, points
from pipeline.report.words.phrases import at_size, averaged, spoken_list, test_images
from pipeline.report.words.prices import bill, bill_evidence, open_bill
from pipeline.report.words.sentence import Sentence
from pipeline.report.words.warnings import leak, one_class, shortcut, small_input


@dataclass(frozen=True)
class Facts:
    """The two sides of the question, each by its best on val, and one network with and without weights."""

    claim: Claim  # of the best pretrained model against the best from scratch
    same_network: Claim | None
    images: str  # as "2,000 test images"
    rivals: Mapping[str, Sequence[Model]]  # key of each of the two → the models that it is the best of
    modes: Mapping[str, str]  # key of each model → its mode
    ran_both_ways: bool  # whether a network ran with and without weights, even if it learned nothing
    others: Standing  # of the one ahead of the two to the rest of the other side
    worse: Sequence[Model]  # pretrained models that do worse than the best from scratch
    unlearned: Sequence[Model]  # models that were not shown to have learned anything


def facts(study: Study) -> Facts | None:
    """Return the facts of the whole answer; None where one side of the question is missing."""
    own, transfer = study.best_scratch, study.best_transfer
    if own is None or transfer is None:
        return None
    said = claim(study, transfer, own)
    ahead, behind = said.ranked
    rest = [one for one in study.learned if one.pretrained == behind.pretrained and one is not behind]
    return Facts(
        claim=said,
        same_network=same_network(study),
        images=test_images(study),
        rivals={
            own.key: [model for model in study.learned if not model.pretrained],
            transfer.key: [model for model in study.learned if model.pretrained],
        },
        modes={model.key: model.mode for model in study.models},
        ran_both_ways=study.ran_both_ways,
        others=Standing(ahead, [claim(study, ahead, other) for other in rest]),
        worse=[model for model in study.transfer if claim(study, model, own).outcome == "loss"],
        unlearned=study.unlearned,
    )


def words(study: Study) -> Words:
    """Answer the report's question, or say why these runs cannot; then what a reader must know beside it."""
    beside = [cost_words, images_words, mixed_in_words, input_words, leak_words]
    return Words(study, [*accuracy_words(study), *(one for say in beside for one in say(study))])


def _whole(study: Study) -> Facts | None:
    """Return the facts of an answer that both sides of the question give."""
    return facts(study) if study.learned else None


def accuracy_words(study: Study) -> Words:
    """Say which is more accurate, what pretraining gave, and what else to know of those scores."""
    found = _whole(study)
    beside = [one_class(study), shortcut(study)]
    if found is None:
        half = [one for one in half_answer.sentences(study) if not one.rule.endswith(".cost")]
        return Words(study, [*half, *beside])
    return Words(study, [_accuracy(found), _pretraining(found), _unlearned(found), *beside])


def cost_words(study: Study) -> Words:
    """Say what either side costs."""
    found = _whole(study)
    if found is None:
        return Words(study, [one for one in half_answer.sentences(study) if one.rule.endswith(".cost")])
    return Words(study, [_cost(found)])


def images_words(study: Study) -> Words:
    """Say in short from how many images on the two sides are level."""
    return Words(study, data_efficiency.in_short(study) if _whole(study) else [])


def mixed_in_words(study: Study) -> Words:
    """Name what else differs between the two sides."""
    found = _whole(study)
    return Words(study, [_mixed_in(found)] if found else [])


def input_words(study: Study) -> Words:
    """Warn where the pretrained network sees smaller images than its weights did."""
    found = _whole(study)
    return Words(study, [small_input(found.claim.first)] if found else [])


def leak_words(study: Study) -> Words:
    """Warn of images that stand in two parts of the data."""
    return Words(study, [leak(study)])


def _accuracy(found: Facts) -> Sentence:
    said = found.claim
    better, other = said.ranked
    seeds = averaged(said.first, said.second)
    if not said.settled:
        return _sentence(_tie(found, seeds), said.outcome, said)
    start = "Start from a pretrained network" if better.pretrained else "Train your own"
    text = (
        f"{start}: {better.spoken} gets {percent(better.accuracy.value)} of the {found.images} right{seeds}, "
        f"{said.size} more than {other.spoken}{_best_of(found.rivals[other.key])} at "
        f"{percent(other.accuracy.value)} ({said.support}){_small_gain(said)}{_not_all(found, better)}."
    )
    return _sentence(text, "transfer" if better.pretrained else "scratch", said)


def _small_gain(said: Claim) -> str:
    return f", less than the {points(said.test.margin)} that matter here" if said.test.within_margin else ""


def _not_all(found: Facts, better: Model) -> str:
    """Say which other models of either side do not go along with the answer."""
    parts = []
    if ahead := found.others.ahead:
        parts.append(f"on test {spoken_list(ahead)} {_does(ahead)} better than {better.spoken}")
    if undecided := found.others.undecided:
        parts.append(f"{spoken_list(undecided, 'or')} cannot be told from {better.spoken}")
    if better.pretrained and found.worse:
        parts.append(
            f"{spoken_list(found.worse)} {_does(found.worse)} worse than {found.claim.second.spoken}"
        )
    return f"; but {join(parts)}" if parts else ""


def _does(models: Sequence[Model]) -> str:
    return "does" if len(models) == 1 else "do"


def _sentence(text: str, outcome: str, said: Claim) -> Sentence:
    references = ("tbl-headline", "fig-accuracy", "tbl-tests")
    return Sentence(text, f"answer.accuracy.{outcome}", said.evidence, references)


def _tie(found: Facts, seeds: str) -> str:
    said = found.claim
    transfer, own = said.first.spoken, said.second.spoken
    a, b = said.scores
    scores = f"{transfer} gets {a} right and {own} {b}{seeds}"
    if a == b:
        scores = f"{transfer} and {own} both get {a} right{seeds}"
    start = "Accuracy does not decide it" if said.equivalent else "Not settled"
    decides = f"; {said.what_decides} would decide it{IF_IT_STAYS}" if said.what_decides else ""
    return f"{start}: of the {found.images}, {scores}, {said.why_level}{decides}."


def _best_of(models: Sequence[Model]) -> str:
    """Say what the model that was just named is the best of; nothing when it is the only one."""
    if len(models) < 2:
        return ""
    kind = "pretrained networks" if models[0].pretrained else "trained from scratch"
    val = [model.val_accuracy for model in models]
    best = "one of the best" if val.count(max(val)) > 1 else "the best"
    return f", {best} on val of the {number_word(len(models))} {kind},"


def _cost(found: Facts) -> Sentence:
    said = found.claim
    evidence, references = bill_evidence(said.first, said.second), ("tbl-cost", "fig-pareto")
    if not said.settled:
        text = open_bill(said.first, said.second, equal=said.equivalent)
        return Sentence(text, f"answer.cost.{said.outcome}", evidence, references)
    return Sentence(bill(*said.ranked), "answer.cost.winner", evidence, references)


def _pretraining(found: Facts) -> Sentence:
    """Say what the pretrained weights gave where one network ran with and without them."""
    said = found.same_network
    if said is None:
        question = (
            "How much of this is owed to pretraining and how much to architecture"
            if found.claim.settled
            else "Whether pretraining itself helped"
        )
        did = "is shown to have learned" if found.ran_both_ways else "ran"
        text = (
            f"{question} these runs cannot say: no network {did} both with and without its pretrained "
            "weights."
        )
        return Sentence(text, "answer.pretraining.unknown", {"modes": found.modes})
    if said == found.claim:
        return _nothing_mixed_in(said)
    return _gain(said)


def _nothing_mixed_in(said: Claim) -> Sentence:
    does = "is what pretraining itself does here" if said.settled else "compares pretraining itself"
    so = f"so this {does}, with no difference of architecture mixed in"
    mixed = [*_frozen(said), *said.mixed_in]
    if mixed:
        so = f"but they differ in {join(mixed)} as well, so this is not what pretraining alone does"
    text = f"Both are the same network with and without its pretrained weights, {so}."
    return Sentence(text, "answer.pretraining.same-network", said.evidence, ("fig-accuracy",))


def _frozen(said: Claim) -> list[str]:
    """A linear probe differs from training from scratch in what learns, too."""
    return ["the layers that learn"] if said.first.mode == "linear_probe" else []


def _gain(said: Claim) -> Sentence:
    warm, cold = said.first, said.second
    a, b = said.scores
    what, mixed = "Pretraining itself", [*_frozen(said), *said.mixed_in]
    if mixed:
        differences = "other differences" if len(mixed) > 1 else "another difference"
        what = f"Pretraining and {differences} ({join(mixed)}) together"
    figures = f"{warm.spoken} gets {a}{at_size(warm, cold)} against {b} from scratch{at_size(cold, warm)}"
    verb = {"gain": "gave", "loss": "cost"}.get(said.outcome)
    text = f"{what} {verb} {said.size}: on one and the same network, {figures} ({said.support})."
    if not said.settled:
        gave = f"What {what[0].lower()}{what[1:]} gave"
        text = f"{gave} these runs cannot tell: on one and the same network, {figures}, {said.why_level}."
    if said.equivalent:
        text = (
            f"{what} made no difference that matters: on one and the same network, {figures}, "
            f"{said.why_level}."
        )
    references = ("fig-accuracy", "tbl-tests")
    return Sentence(text, f"answer.pretraining.{said.outcome}", said.evidence, references)


def _mixed_in(found: Facts) -> Sentence | None:
    """Name all that differs between two networks beside weights and architecture, where something does."""
    first, second = found.claim.first, found.claim.second
    mixed = found.claim.mixed_in
    if first.name == second.name or not mixed:
        return None
    text = (
        f"Not only weights and architecture differ between {first.spoken} and {second.spoken}: what "
        f"separates the two may also be {join(mixed, 'or')}."
    )
    evidence = {"first": first, "second": second, "differs": mixed}
    return Sentence(text, "answer.mixed-in", evidence, ("tbl-recipe",))


def _unlearned(found: Facts) -> Sentence | None:
    others = found.unlearned
    if not others:
        return None
    it_is = "it is" if len(others) == 1 else "they are"
    text = (
        f"{opened(spoken_list(others))} {_does(others)} not beat always naming the commonest class beyond "
        f"noise; {it_is} not ranked with the others."
    )
    return Sentence(text, "answer.unlearned", {"models": others}, ("tbl-headline",))


def _title(study: Study) -> str:
    images = len(study.targets)
    seeds = {len(model.records) for model in study.models}
    several = ", means over seeds" if max(seeds, default=1) > 1 else ""
    return f"Every model on {images:,} test images{several}" if images else "Every model"


@floats.table(
    "tbl-headline",
    "Best first; bold: the best on val, by which models are chosen. Training: one run. One image: median "
    "time.",
    _title,
    models=False,
)
def headline(study: Study) -> Table:
    """List every model that was asked for, the most accurate first; failed ones in their place behind."""
    header = ["Model", "95 % interval", "Accuracy", "F1", "Training", "One image", "Weights"]
    if _balanced(study):
        header[3] = "Balanced accuracy"
    ranked = sorted(study.models, key=lambda model: -model.test_accuracy)
    every = [score for model in study.models for score in (model.accuracy.low, model.accuracy.high)]
    low, high = min(every, default=0.0), max(every, default=1.0)
    rows = [_scores(study, model, low, high) for model in ranked]
    known = {model.label for model in study.models}
    asked = dict.fromkeys(study.names.values())
    rows += [_missing(study, label) for label in asked if label not in known]
    return table(header, [*rows, *(_baseline(study, one) for one in study.baselines)], "lcrrrrr")


def _scores(study: Study, model: Model, low: float, high: float) -> list[Cell]:
    accuracy, cost = model.accuracy, model.cost
    best = study.best.val_accuracy if study.best else None
    return [
        _named(study, model),
        dots.interval(study, model, accuracy, low, high),
        bold(percent(accuracy.value), model.val_accuracy == best),
        percent(model.mean("recall_macro" if _balanced(study) else "f1_macro")),
        duration(cost.train_seconds.value) if cost else NONE,
        latency(cost.latency_seconds.value) if cost else NONE,
        data_size(cost.parameter_bytes) if cost else NONE,
    ]


def _balanced(study: Study) -> bool:
    """Whether a model was trained to count classes alike: then balanced accuracy stands beside accuracy."""
    return any(model.settings.class_weights or model.settings.sampler for model in study.models)


def _baseline(study: Study, found: Baseline) -> list[Cell]:
    """Set a simple answer apart from the models: no letter, in italics."""
    accuracy = found.accuracy
    return [
        f"*no network: {name(found.name)}{' of train' if found.name == COMMONEST else ''}*",
        f"{100 * accuracy.low:.1f}–{100 * accuracy.high:.1f}",
        percent(accuracy.value),
        percent(found.test.recall_macro if _balanced(study) else found.test.f1_macro),
        duration(found.seconds),
        NONE,
        NONE,
    ]


def _named(study: Study, model: Model) -> Drawn:
    lost = sum(study.names[record.run_id] == model.label for record in study.failures)
    runs = f" ({lost} of {lost + len(model.records)} runs failed)" if lost else ""
    return dots.chip(study, model, named=True, more=runs)


def _missing(study: Study, label: str) -> list[Cell]:
    failed = any(study.names[record.run_id] == label for record in study.failures)
    return [name(label), "failed" if failed else "set apart", *[NONE] * 5]
