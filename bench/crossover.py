"""How often the crossover's 95 % interval holds the truth, on curves of known law.

Run ``python -m bench.crossover``: it writes ``bench/crossover.md``. ``--studies`` says how many made
studies each row counts. In each, every model answers the same test images at each size and seed; a
seed shifts the true error, and images are of unlike difficulty.
"""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import stats

from pipeline.report.evidence.crossover import Images, crossover
from pipeline.report.evidence.data_efficiency import Curve, Efficiency, efficiencies

Law = Callable[[np.ndarray], np.ndarray]
FIVE, FOUR, THREE = (100, 300, 1000, 3000, 10_000), (500, 2000, 8000, 40_000), (100, 300, 1000)


def law(floor: float, at_100: float, exponent: float) -> Law:
    """Return a power law whose error is ``floor + at_100`` after 100 images."""
    return lambda n: floor + at_100 * (np.asarray(n) / 100) ** -exponent


def plateau(n: np.ndarray) -> np.ndarray:
    """Return the error of a network that learns nothing from a few hundred images: no power law."""
    return 0.06 + 0.8 / (1 + (np.asarray(n) / 1500) ** 1.5)


@dataclass(frozen=True)
class Case:
    """One row: two true curves, how they are measured, and how trainings vary."""

    name: str
    scratch: Law
    pretrained: Law
    sizes: Sequence[int] = FIVE
    seeds: int = 3
    images: int = 2000
    deviation: float = 0.05  # of the true error between seeds, as a share of it
    shared: float = 0.0  # of that variance, what all sizes of a seed have in common
    alike: bool = False  # whether the deviation is that of the middle size at all sizes
    difficulty: float = 0.6  # correlation of two answers to one image, on the probit scale

    @property
    def truth(self) -> float:
        """Where the curves cross within ten times the data; infinite where they do not, NaN of equals."""
        if self.scratch is self.pretrained:
            return np.nan
        grid = np.geomspace(self.sizes[0], 10 * self.sizes[-1], 20_000)
        below = self.scratch(grid) <= self.pretrained(grid)
        return float(grid[below.argmax()]) if below.any() else np.inf


STEEP, FLAT = law(0.03, 0.6, 0.4), law(0.09, 0.12, 0.3)
INSIDE = Case("crossing inside the data", law(0.03, 0.5, 0.5), FLAT)
BEYOND = Case("crossing beyond the data", STEEP, law(0.07, 0.09, 0.35))
CASES = (
    INSIDE,
    replace(INSIDE, name="two seeds", seeds=2),
    replace(INSIDE, name="five seeds", seeds=5),
    replace(INSIDE, name="10,000 test images", images=10_000),
    replace(INSIDE, name="200 test images", images=200),
    replace(INSIDE, name="four sizes", sizes=FOUR),
    replace(INSIDE, name="half of the seeds' variance shared by all sizes", shared=0.5),
    replace(INSIDE, name="seeds vary alike at all sizes", alike=True),
    replace(INSIDE, name="seeds vary three times as much", deviation=0.15),
    BEYOND,
    replace(BEYOND, name="beyond, two seeds", seeds=2),
    replace(BEYOND, name="beyond, 10,000 test images", images=10_000),
    replace(BEYOND, name="beyond, four sizes", sizes=(*FOUR[:3], 20000), pretrained=law(0.06, 0.09, 0.35)),
    replace(INSIDE, name="three sizes, beyond", sizes=THREE),
    replace(INSIDE, name="two sizes, between them", sizes=(300, 10_000)),
    replace(INSIDE, name="one seed each", seeds=1),
    replace(INSIDE, name="no crossover", scratch=law(0.12, 0.5, 0.5), pretrained=law(0.05, 0.1, 0.3)),
    replace(INSIDE, name="equal models", scratch=FLAT, pretrained=FLAT),
    replace(INSIDE, name="crossing twice", scratch=law(0.14, 0.6, 1.5), pretrained=law(0.02, 0.33, 0.35)),
    replace(INSIDE, name="no power law (chance up to 500 images)", scratch=plateau),
)


def study(case: Case, random: np.random.Generator) -> tuple[Curve, Curve]:
    """Make one study of two models."""
    hardness = random.standard_normal(case.images)
    sizes = np.array(case.sizes)
    return _curve("scratch", case.scratch, case, sizes, hardness, random), _curve(
        "pretrained", case.pretrained, case, sizes, hardness, random
    )


def _curve(
    name: str, true: Law, case: Case, sizes: np.ndarray, hardness: np.ndarray, random: np.random.Generator
) -> Curve:
    errors = true(sizes)
    deviations = case.deviation * (np.full(len(sizes), np.median(errors)) if case.alike else errors)
    common, own = random.standard_normal((case.seeds, 1)), random.standard_normal((case.seeds, len(sizes)))
    shifted = errors + deviations * (np.sqrt(case.shared) * common + np.sqrt(1 - case.shared) * own)
    limits = stats.norm.ppf(np.clip(shifted, 1e-4, 1 - 1e-4)).T[..., None]
    noise = random.standard_normal((len(sizes), case.seeds, case.images))
    answers = np.sqrt(case.difficulty) * hardness + np.sqrt(1 - case.difficulty) * noise > limits
    return Curve(name, tuple(case.sizes), tuple(answers))


@dataclass
class Counts:
    """What came out in the studies of one case."""

    covered: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    whys: Counter[str] = field(default_factory=Counter)
    without_law: int = 0

    def add(self, found: Images, of: Sequence[Efficiency], truth: float) -> None:
        self.whys[found.why or "found"] += 1
        self.without_law += any(each.no_law for each in of)
        if np.isnan(truth) or (found.images is None and found.low is None and found.high is None):
            return
        low, high = found.low or 0.0, found.high or np.inf
        self.covered.append(low <= truth <= high)
        self.widths.append(high / low if low else np.inf)


def counted(case: Case, studies: int, seed: int = 0) -> Counts:
    """Count over made studies of one case."""
    random, counts, truth = np.random.default_rng(seed), Counts(), case.truth
    for _ in range(studies):
        of = efficiencies(study(case, random))
        counts.add(crossover(*of), of, truth)
    return counts


def rows(studies: int) -> Iterator[str]:
    yield "| case | true crossover | interval holds it | median width | no law | outcomes |"
    yield "|---|---:|---:|---:|---:|---|"
    for case in CASES:
        counts = counted(case, studies)
        covered = (
            f"{np.mean(counts.covered):.1%} of {len(counts.covered)}" if counts.covered else "none given"
        )
        width = f"{np.median(counts.widths):.1f}×".replace("inf×", "open") if counts.widths else ""
        outcomes = ", ".join(f"{why} {count}" for why, count in counts.whys.most_common())
        truth = f"{case.truth:,.0f}" if np.isfinite(case.truth) else "none"
        yield f"| {case.name} | {truth} | {covered} | {width} | {counts.without_law} | {outcomes} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=250)
    studies = parser.parse_args().studies
    start = time.process_time()
    table = "\n".join(rows(studies))
    note = (
        f"{studies} made studies a row, 3 seeds, 2,000 test images and five sizes from 100 to 10,000 unless "
        f"said; `python -m bench.crossover` in {time.process_time() - start:.0f} s of one core."
    )
    text = f"# The crossover's 95 % interval on curves of known law\n\n{note}\n\n{table}\n"
    Path(__file__).with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
