"""A beats B, by how much, how sure: what may be claimed of two models' accuracies, and how it is said.

Every sentence that compares accuracies asks ``claim`` here. It says "better" only where the test of the
pair supports it, and otherwise why the two cannot be told apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.report.evidence.significance import ALPHA, PairTest
from pipeline.report.model import Model, best
from pipeline.report.study import Study
from pipeline.report.words.numbers import p_value, percent, percent_range, points, points_range, signed

Outcome = Literal["gain", "loss", "tie"]


@dataclass(frozen=True)
class Claim:
    """What the test of two models on the same images allows to be said, seen from ``first``."""

    first: Model
    second: Model
    test: PairTest
    corrected: bool  # over several pairs, by Holm's method

    @property
    def outcome(self) -> Outcome:
        """Whether ``first`` is better ("gain"), worse ("loss") or not to be told from ``second``."""
        if not self.test.distinguishable:
            return "tie"
        return "gain" if self.test.difference.value > 0 else "loss"

    @property
    def settled(self) -> bool:
        return self.outcome != "tie"

    @property
    def ranked(self) -> tuple[Model, Model]:
        """The model that scored higher, and the other."""
        ahead = self.test.difference.value > 0
        return (self.first, self.second) if ahead else (self.second, self.first)

    @property
    def better(self) -> Model | None:
        """The better of the two, where that is settled."""
        return self.ranked[0] if self.settled else None

    @property
    def size(self) -> str:
        """10.0 points: how far apart the two are."""
        return points(self.test.difference.value)

    @property
    def signed_size(self) -> str:
        """+10.0: how far ``first`` is ahead, in points."""
        return signed(self.test.difference.value)

    @property
    def more(self) -> str:
        return "more" if self.test.difference.value > 0 else "less"

    @property
    def support(self) -> str:
        """95 % interval 8.6 to 11.4 points, p < 0.001."""
        low, high = self.test.difference.low, self.test.difference.high
        if low > 0:
            interval = f"{100 * low:.1f} to {points(high)}"
        elif high < 0:
            interval = f"{-100 * high:.1f} to {points(low)}"
        else:
            interval = points_range(low, high)
        return f"95 % interval {interval}, {p_value(self.test.p_holm)}"

    @property
    def named_support(self) -> str:
        """The same with the names of the test and its correction, for its first mention."""
        return f"{self.support} by exact McNemar test{', Holm-corrected' if self.corrected else ''}"

    @property
    def why_level(self) -> str:
        """Why the two cannot be told apart."""
        test = self.test
        if not test.significant:
            if test.difference.excludes_zero:
                return f"a difference that many comparisons make by chance ({self.support} Holm-corrected)"
            return f"a difference within noise ({self.support})"
        weak, strong = sorted((test.first_seeds, test.second_seeds), key=lambda s: sum(s) / len(s))
        return (
            f"a difference no larger than that between seeds, which overlap "
            f"({percent_range(min(weak), max(weak))} against {percent_range(min(strong), max(strong))})"
        )

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
            "difference": test.difference.value,
            "low": test.difference.low,
            "high": test.difference.high,
            "only_first": test.only_first,
            "only_second": test.only_second,
            "p": test.p,
            "p_holm": test.p_holm,
            "alpha": ALPHA,
            "distinguishable": test.distinguishable,
        }


@dataclass(frozen=True)
class Standing:
    """How one model stands to others."""

    model: Model
    claims: Sequence[Claim]  # of ``model`` against each of the others

    def _others(self, outcome: Outcome) -> list[Model]:
        return [claim.second for claim in self.claims if claim.outcome == outcome]

    @property
    def beaten(self) -> list[Model]:
        return self._others("gain")

    @property
    def ahead(self) -> list[Model]:
        return self._others("loss")

    @property
    def level(self) -> list[Model]:
        return self._others("tie")

    @property
    def evidence(self) -> list[dict[str, Any]]:
        return [claim.evidence for claim in self.claims]


def claim(study: Study, first: Model, second: Model) -> Claim:
    """Return what may be claimed of two different models. Raises KeyError for one model."""
    return Claim(first, second, study.test(first, second), len(study.tests) > 1)


def every_claim(study: Study) -> list[Claim]:
    """Return the claims of every pair once, in params order."""
    models = {model.key: model for model in study.models}
    return [Claim(models[t.first], models[t.second], t, len(study.tests) > 1) for t in study.tests]


def standing(study: Study, model: Model) -> Standing:
    """Return how a model stands to all others."""
    others = [other for other in study.models if other is not model]
    return Standing(model, [claim(study, model, other) for other in others])


def same_network(study: Study) -> Claim | None:
    """Return what pretraining gave one network: the best on val that ran with and without its weights."""
    both = [ways for ways in study.three_ways.values() if "scratch" in ways]
    warm = best([model for ways in both for mode, model in ways.items() if mode != "scratch"])
    return claim(study, warm, study.three_ways[warm.name]["scratch"]) if warm else None
