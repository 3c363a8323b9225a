"""A beats B, by how much, how sure: what may be claimed of two models' accuracies, and how it is said.

Every sentence that compares accuracies asks ``claim`` here. One of three is said: better, by how much at
least; equivalent within the difference that matters; or undecided, and what would decide. Where each
model ran once the same words say that they are of these two trained networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.report.evidence.tests import ALPHA, Comparison
from pipeline.report.model import Model, best
from pipeline.report.study import Study
from pipeline.report.words.english import join, plural
from pipeline.report.words.numbers import NBSP, p_value, percent, percent_range, points, points_range, signed
from pipeline.report.words.phrases import sizes_differ

Outcome = Literal["gain", "loss", "equivalent", "undecided"]
RECIPE = {  # settings that may explain a difference as well
    "epochs": "number of epochs",
    "batch_size": "batch size",
    "optimizer": "optimizer",
    "learning_rate": "learning rate",
    "schedule": "schedule",
    "warmup_epochs": "schedule",
    "weight_decay": "weight decay",
    "label_smoothing": "label smoothing",
    "augmentation": "augmentation",
    "crop_share": "augmentation",
    "rotation_degrees": "augmentation",
    "resize": "way to a square",
    "dropout": "dropout",
    "momentum": "momentum",
    "gradient_clip": "gradient clipping",
    "weight_averaging": "averaging of weights",
    "flip_at_test": "averaging over mirror images",
    "precision": "precision",
    "patience": "early stopping",
}
HEAD = "number of head epochs"
RUNS = "for these two trained networks"
SURE = 0.995  # a probability above it is said to be more than 99 %
IF_IT_STAYS = ", were the difference as large as it looks now"


@dataclass(frozen=True)
class Claim:
    """What the test of two models on the same images allows to be said, seen from ``first``."""

    first: Model
    second: Model
    test: Comparison
    pairs: int  # how many pairs the study compares

    @property
    def outcome(self) -> Outcome:
        """Whether ``first`` is better ("gain"), worse ("loss"), equivalent to ``second``, or undecided."""
        if self.test.verdict == "first":
            return "gain"
        if self.test.verdict == "second":
            return "loss"
        return self.test.verdict

    @property
    def settled(self) -> bool:
        """Whether one of the two is better."""
        return self.test.distinguishable

    @property
    def equivalent(self) -> bool:
        """Whether the two are shown to differ by less than what matters."""
        return self.test.verdict == "equivalent"

    @property
    def of_runs(self) -> bool:
        """Whether this is of two trained networks only, not of the models."""
        return self.test.scope == "runs"

    @property
    def ranked(self) -> tuple[Model, Model]:
        """The model that scored higher, and the other."""
        return (self.first, self.second) if self.test.difference > 0 else (self.second, self.first)

    @property
    def better(self) -> Model | None:
        """The better of the two, where that is settled."""
        return self.ranked[0] if self.settled else None

    @property
    def size(self) -> str:
        """10.0 points: how far apart the two are."""
        return points(self.test.difference)

    @property
    def signed_size(self) -> str:
        """+10.0: how far ``first`` is ahead, in points."""
        return signed(self.test.difference)

    @property
    def more(self) -> str:
        return "more" if self.test.difference > 0 else "less"

    @property
    def support(self) -> str:
        """95 % interval 8.6 to 11.4 points, p < 0.001; of these two trained networks, where it is."""
        return f"{self._interval}, {p_value(self.test.p)}{f', {RUNS}' if self.of_runs else ''}"

    @property
    def _interval(self) -> str:
        low, high = self.test.low, self.test.high
        if low > 0:
            return f"95 % interval {100 * low:.1f} to {points(high)}"
        if high < 0:
            return f"95 % interval {-100 * high:.1f} to {points(low)}"
        return f"95 % interval {points_range(low, high)}"

    @property
    def sure(self) -> str:
        """10.0 points more (95 % interval ...), or why nobody can tell."""
        return f"{self.size} {self.more} ({self.support})" if self.settled else self.why_level

    @property
    def why_level(self) -> str:
        """Why neither is called better: shown to be equivalent, or undecided."""
        margin = points(self.test.margin)
        scope = f", {RUNS}" if self.of_runs else ""
        if self.equivalent:
            shown = f"{self._interval}; two one-sided tests, {p_value(self.test.p_equivalent)}"
            return f"a difference below the {margin} that matter here (equivalent: {shown}{scope})"
        if self.test.corrected and self.test.p < ALPHA:
            return (
                f"a difference that chance makes among {plural(self.pairs, 'pair')} "
                f"({self._interval}, {p_value(self.test.p)} alone, {_holm(self.test.p_holm)}{scope})"
            )
        return f"a difference within noise ({self._interval}, {p_value(self.test.p)}{scope})"

    @property
    def mixed_in(self) -> list[str]:
        """What else differs between the two, by name: image size, epochs, learning rate, ..."""
        return mixed_in(self.first, self.second)

    @property
    def what_decides(self) -> str:
        """about 5,400 test images or 4 seeds of each, were the difference as it looks now; or nothing."""
        return f"about {join(self.ways, 'or')}" if self.ways else ""

    @property
    def ways(self) -> list[str]:
        """5,400 test images, 4 seeds of each: what would decide, each of them alone."""
        ways = [f"{self.test.needed_images:,} test images"] if self.test.needed_images else []
        return ways + ([f"{self.test.needed_seeds} seeds of each"] if self.test.needed_seeds else [])

    @property
    def luck(self) -> str:
        """about 97 % (95 % interval 80.0 to 99.0 %): that the one ahead wins when trained again."""
        beats = self.test.beats
        if beats is None:
            return ""
        found = beats if self.test.difference > 0 else beats.reversed
        about = "more than 99" if found.value > SURE else f"about {100 * found.value:.0f}"
        interval = percent_range(found.low, found.high)
        if found.high > SURE:
            interval = f"{percent(min(found.low, SURE))} or more"
        return f"{about}{NBSP}% (95 % interval {interval})"

    @property
    def scores(self) -> tuple[str, str]:
        """The accuracies of both, first and second, as 90.0 %."""
        return percent(self.first.accuracy.value), percent(self.second.accuracy.value)

    @property
    def evidence(self) -> dict[str, Any]:
        """The numbers of the test."""
        test = self.test
        return {
            "first": test.first,
            "second": test.second,
            "verdict": test.verdict,
            "scope": test.scope,
            "difference": test.difference,
            "low": test.low,
            "high": test.high,
            "p": test.p,
            "p_holm": test.p_holm,
            "p_equivalent": test.p_equivalent,
            "margin": test.margin,
            "alpha": ALPHA,
            "smallest_visible": test.smallest_visible,
            "needed_images": test.needed_images,
            "needed_seeds": test.needed_seeds,
            "beats": test.beats,
            "distinguishable": test.distinguishable,
        }


def mixed_in(first: Model, second: Model) -> list[str]:
    """Return in words the settings of the recipe that have an effect in both models and differ."""
    mine, theirs = first.settings.effective(), second.settings.effective()
    found = [
        RECIPE[name] for name in RECIPE if name in mine and name in theirs and mine[name] != theirs[name]
    ]
    heads = mine.get("head_epochs", 0), theirs.get("head_epochs", 0)
    probe = "linear_probe" in (first.mode, second.mode)  # all of its epochs are of the head
    head = [HEAD] * (heads[0] != heads[1] and not probe)
    images = ["number of training images"] * (first.train_images != second.train_images)
    weighed = [(model.settings.class_weights, model.settings.sampler) for model in (first, second)]
    balance = ["weight of rare classes"] * (weighed[0] != weighed[1])  # has an effect only where it is set
    return [*["image size"] * sizes_differ(first, second), *images, *dict.fromkeys(found), *head, *balance]


def _holm(p: float) -> str:
    return f"{p_value(p)} corrected for all by Holm\u2019s method"


@dataclass(frozen=True)
class Standing:
    """How one model stands to others."""

    model: Model
    claims: Sequence[Claim]  # of ``model`` against each of the others

    def _others(self, *outcomes: Outcome) -> list[Model]:
        return [claim.second for claim in self.claims if claim.outcome in outcomes]

    @property
    def beaten(self) -> list[Model]:
        return self._others("gain")

    @property
    def ahead(self) -> list[Model]:
        return self._others("loss")

    @property
    def equivalent(self) -> list[Model]:
        return self._others("equivalent")

    @property
    def undecided(self) -> list[Model]:
        return self._others("undecided")

    @property
    def of_runs(self) -> bool:
        """Whether what is said is of trained networks only, not of models."""
        return any(claim.of_runs for claim in self.claims)

    @property
    def evidence(self) -> list[dict[str, Any]]:
        return [claim.evidence for claim in self.claims]


def claim(study: Study, first: Model, second: Model) -> Claim:
    """Return what may be claimed of two different models. Raises KeyError for one model."""
    return Claim(first, second, study.test(first, second), len(study.tests))


def every_claim(study: Study) -> list[Claim]:
    """Return the claims of every pair once, in params order."""
    models = {model.key: model for model in study.models}
    return [Claim(models[test.first], models[test.second], test, len(study.tests)) for test in study.tests]


def standing(study: Study, model: Model) -> Standing:
    """Return how a model stands to all others that learned something."""
    others = [other for other in study.models if other is not model and other not in study.unlearned]
    return Standing(model, [claim(study, model, other) for other in others])


def same_network(study: Study) -> Claim | None:
    """Return what pretraining gave one network: the best on val that ran with and without its weights."""
    both = [ways for ways in study.three_ways.values() if "scratch" in ways]
    warm = best([model for ways in both for mode, model in ways.items() if mode != "scratch"])
    return claim(study, warm, study.three_ways[warm.name]["scratch"]) if warm else None
