"""The answer in short: a verdict of at most 25 words, its price, and what to know before relying on it."""

from collections.abc import Callable, Iterator

from pipeline.report.look.paragraph import Words
from pipeline.report.look.theme import letters
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.claims import HEAD, Claim, claim, same_network, standing
from pipeline.report.words.english import join, number_word, plural
from pipeline.report.words.numbers import percent, percent_range, points
from pipeline.report.words.phrases import commonest
from pipeline.report.words.prices import bill_evidence, short_bill
from pipeline.report.words.sentence import Sentence
from pipeline.report.words.warnings import LEAK, MOST, copies, small_input

MOST_CAVEATS = 4
Rule = Callable[[Study], Sentence | None]


def words(study: Study) -> Words:
    """Return the verdict, its price, what failed, and the caveats that matter most."""
    found = [verdict(study), price(study), *failed(study), *caveats(study)]
    return Words(study, found)


def verdict(study: Study) -> Sentence:
    """Say in at most 25 words which model to use, or why these runs do not tell."""
    if not study.models:
        runs = len(study.failures)
        few = ("no run was made", "the only run failed", "both runs failed")
        text = f"No answer yet: {few[runs] if runs < len(few) else f'all {number_word(runs)} runs failed'}."
        return Sentence(text, "short.failed", {"failed_runs": runs})
    if not study.learned:
        text = (
            "No answer: no model is shown to beat always naming the commonest class, so these runs recommend "
            "none."
        )
        return Sentence(text, "short.chance", {"share": commonest(study)})
    own, transfer = study.best_scratch, study.best_transfer
    if own is None or transfer is None:
        return _half(study, own or transfer)
    said = claim(study, transfer, own)
    return Sentence(
        _decided(study, said) if said.settled else _level(study, said), "short.verdict", said.evidence
    )


def called(study: Study, model: Model) -> str:
    """Return a model's letter and name, as "D, EfficientNet-Lite0 fine-tuned"."""
    return f"{letters(study)[model.key]}, {model.label.replace(', ', ' ')}"


def _decided(study: Study, said: Claim) -> str:
    better, other = said.ranked
    low, high = sorted((abs(said.test.low), abs(said.test.high)))
    scope = ", for these trained networks" if said.of_runs else ""
    return (
        f"Use {called(study, better)}: {percent(better.accuracy.value)} of the test images right, "
        f"{said.size} "
        f"more than {called(study, other)} ({100 * low:.1f} to {100 * high:.1f}{scope})."
    )


def _level(study: Study, said: Claim) -> str:
    a, b = said.scores
    first, second = called(study, said.first), called(study, said.second)
    if said.equivalent:
        within = f"{points(said.test.margin)}{', as trained here' if said.of_runs else ''}"
        return f"{first} ({a}), and {second} ({b}), are equally accurate within {within}: choose by price."
    decides = f"; about {said.ways[0]} may decide it" if said.ways else ""
    return f"Not settled: {first} ({a}), and {second} ({b}), cannot be told apart{decides}."


def _half(study: Study, model: Model | None) -> Sentence:
    assert model is not None
    score = model.accuracy
    right = f"{percent(score.value)} of the test images right ({percent_range(score.low, score.high)})"
    missing = _missing(study, model)
    text = f"Half an answer: {missing}. {called(study, model)}, gets {right}."
    evidence = {"model": model, "accuracy": score.value, "low": score.low, "high": score.high}
    return Sentence(text, "short.half", evidence)


def _missing(study: Study, model: Model) -> str:
    """Say what became of the side that the model does not belong to."""
    side = "trained from scratch" if model.pretrained else "pretrained"
    if any(other.pretrained != model.pretrained for other in study.unlearned):
        return f"nothing {side} is shown to have learned"
    if any(record.settings.pretrained != model.pretrained for record in study.failures):
        return f"everything {side} failed"
    return f"nothing {side} ran"


def price(study: Study) -> Sentence | None:
    """Say in one line what the better of the two compared costs against the other."""
    if not study.learned or study.pair is None:
        return None
    said = claim(study, *study.pair)
    first, second = said.ranked if said.settled else (said.first, said.second)
    if first.cost is None or second.cost is None:
        return None
    mark = letters(study)
    text = f"Price of {mark[first.key]} against {mark[second.key]}: {short_bill(first.cost, second.cost)}."
    return Sentence(text, "short.price", bill_evidence(first, second))


def failed(study: Study) -> Iterator[Sentence]:
    """Say which models lost runs; they stay in their place in all tables."""
    if not study.failures or not study.models:
        return
    names = list(dict.fromkeys(study.names[record.run_id] for record in study.failures))
    runs = plural(len(study.failures), "run")
    text = f"{runs} failed ({'; '.join(names[:4])}{' and others' if len(names) > 4 else ''})."
    yield Sentence(
        text, "short.failures", {"failed": [record.run_id for record in study.failures]}, ("tbl-runs",)
    )


def caveats(study: Study) -> Words:
    """Return what to know before relying on the verdict, at most four, the gravest first."""
    if study.models and not study.learned:
        return Words(study, [rule(study) for rule in (_leak, _commonest, _one_seed)])
    rules: tuple[Rule, ...] = (
        _simple_answer, _not_all, _unlearned, _leak, _commonest, _mixed_in, _not_separated, _one_seed,
        _small_gain, _small_input, _unfinished, _one_pretrained, _one_data_set,
    )  # fmt: skip
    found = [said for rule in rules if (said := rule(study))] if study.models else []
    return Words(study, found[:MOST_CAVEATS])


def _caveat(text: str, topic: str, evidence: object, *references: str) -> Sentence:
    return Sentence(text, f"short.caveat.{topic}", evidence, references)


def _unlearned(study: Study) -> Sentence | None:
    if not study.unlearned or not study.learned:
        return None
    marks = join([letters(study)[model.key] for model in study.unlearned])
    return _caveat(
        f"Not shown to beat naming one class always: {marks}.", "unlearned", {"models": study.unlearned}
    )


def _simple_answer(study: Study) -> Sentence | None:
    """Name the best answer without a network that the best on val is not shown to beat."""
    rivals = [rival for model, rival in study.below_baselines if model is study.best]
    if study.best is None or not rivals:
        return None
    rival = max(rivals, key=lambda one: one.correct.mean())
    share = float(rival.correct.mean())
    text = f"{letters(study)[study.best.key]} is not shown to beat {rival.name} ({percent(share)})."
    return _caveat(text, "simple-answer", {"rival": rival.name, "accuracy": share}, "tbl-headline")


def _not_all(study: Study) -> Sentence | None:
    """Name the models that are better on test than the one to use, or cannot be told from it."""
    own, transfer = study.best_scratch, study.best_transfer
    said = claim(study, transfer, own) if own and transfer else None
    if said is None or said.better is None:
        return None
    found = standing(study, said.better)
    mark = letters(study)
    parts = []
    for models, how in ((found.ahead, "better than"), (found.undecided, "not told from")):
        if models:
            parts.append(f"{join([mark[one.key] for one in models])} {how} {mark[said.better.key]}")
    if not parts:
        return None
    return _caveat(f"On test: {'; '.join(parts)}.", "not-all", {"tests": found.evidence}, "tbl-tests")


def _leak(study: Study) -> Sentence | None:
    found = [one for one in copies(study) if one.count >= LEAK * one.images]
    if not found:
        return None
    parts = [f"{percent(one.count / one.images)} of {one.of}" for one in found]
    evidence = {one.kind: one.count for one in found}
    references = ("tbl-duplicates",) if "test_in_train" in evidence else ()
    return _caveat(f"Copies: {join(parts)}.", "leak", evidence, *references)


def _commonest(study: Study) -> Sentence | None:
    share = commonest(study)
    if share < MOST:
        return None
    return _caveat(f"Naming one class always would score {percent(share)}.", "commonest", {"share": share})


def _mixed_in(study: Study) -> Sentence | None:
    pair = study.pair
    found = claim(study, *pair).mixed_in if pair else []
    if not pair or found in ([], [HEAD]):
        return None
    marks = [letters(study)[model.key] for model in pair]
    shown = join(found if len(found) < 4 else [*found[:3], "more"])
    return _caveat(
        f"{marks[0]} and {marks[1]} differ in {shown} too.", "mixed-in", {"differs": found}, "tbl-recipe"
    )


def _not_separated(study: Study) -> Sentence | None:
    if not study.best_scratch or not study.best_transfer or same_network(study):
        return None
    did = "learned" if study.ran_both_ways else "ran"
    text = f"Pretraining or architecture: not separated, no network {did} both ways."
    return _caveat(text, "not-separated", {"modes": {model.key: model.mode for model in study.models}})


def _one_seed(study: Study) -> Sentence | None:
    if max(len(model.records) for model in study.models) > 1:
        return None
    return _caveat("One seed each: the luck of a training is not in these intervals.", "one-seed",
                   {model.key: len(model.records) for model in study.models})  # fmt: skip


def _small_gain(study: Study) -> Sentence | None:
    said = claim(study, *study.pair) if study.pair else None
    if said is None or not said.settled or not said.test.within_margin:
        return None
    return _caveat(f"The difference is less than the {points(study.margin)} that matter here.", "small-gain",
                   said.evidence)  # fmt: skip


def _small_input(study: Study) -> Sentence | None:
    first = sorted(study.transfer, key=lambda model: model is not study.best_transfer)
    found = next((said for model in first if (said := small_input(model))), None)
    if found is None:
        return None
    mark, facts = letters(study)[found.facts["model"].key], found.facts
    text = f"{mark} sees {facts['seen']} px, its weights were trained at {facts['trained']} px."
    return _caveat(text, "small-input", found.facts, "tbl-models")


def _unfinished(study: Study) -> Sentence | None:
    some = [m for m in study.models if m.learning and m.learning.fit == "unfinished"]
    if not some:
        return None
    marks = join([letters(study)[model.key] for model in some])
    verb = "was" if len(some) == 1 else "were"
    text = f"{marks} {verb} still learning at the last epoch: more may help."
    return _caveat(text, "unfinished", {"models": some}, "fig-curves")


def _one_pretrained(study: Study) -> Sentence | None:
    names = {model.name for model in study.transfer}
    if len(names) != 1:
        return None
    return _caveat("Only one pretrained network ran.", "one-pretrained", {"networks": sorted(names)})


def _one_data_set(study: Study) -> Sentence | None:
    if study.dataset is None:
        return None
    text = "One data set: other images may rank otherwise."
    return _caveat(text, "one-data-set", {"dataset": study.dataset.name})
