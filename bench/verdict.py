"""Error rates of the report's verdict on made-up studies whose truth is known: ``make bench-verdict``.

Images of unlike difficulty, a taste of each model for images, an effect of each training and noise of
each answer, on a probit scale: the true accuracy is known in closed form. Writes ``bench/verdict.md`` and
``bench/verdict.json``.
"""

import json
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from bench import ceiling, costs
from pipeline.report.evidence.tests import ALPHA, MARGIN, Comparison, compare, holm

FOLDER = Path(__file__).parent
DIFFICULTY, TASTE, NOISE = 2.0, 0.6, 0.6  # standard deviations on the probit scale
SEED_EFFECTS = {"none": 0.0, "small": 0.03, "large": 0.2}  # at 90 %: 0, 0.2 and 1.6 points
FAILURE = -2.0  # a failed training, about 25 points
USUAL = 0.4  # times as many studies as the written table has: under three minutes on two cores
SOUGHT = 2.8  # standard errors of the difference that is to be found: 80 % power


@dataclass(frozen=True)
class Cell:
    """One kind of study."""

    truth: str  # "equal", "apart" (oracle finds 80 %) or "margin" (apart by just the margin)
    seeds: tuple[int, ...]  # of each model
    images: int
    effect: str  # of a training
    accuracy: float = 0.9
    broken: str = ""  # which assumption does not hold


@dataclass(frozen=True)
class Rates:
    """What happened in all studies of a cell; shares, None where the cell cannot tell."""

    cell: Cell
    studies: int
    difference: float  # true, between neighbours
    false_claims: float | None  # studies that claim any difference of equal models, or a wrong sign
    false_equivalence: float | None  # studies that call models equivalent that are a margin apart
    coverage: float  # pairs whose interval holds the truth
    power: float | None  # pairs rightly told apart
    oracle: float | None  # the same by a test that knows the variances


@dataclass(frozen=True)
class Study:
    """Answers bool [seeds, images] of each model, and the truth for models and for these runs."""

    correct: dict[str, np.ndarray]
    models: dict[str, float]
    runs: dict[str, float]


def study(cell: Cell, shift: float, rng: np.random.Generator) -> Study:
    """Draw one study; every second model is shifted up by ``shift`` on the probit scale."""
    rest = np.sqrt(DIFFICULTY**2 + TASTE**2 + NOISE**2)
    base = ndtri(cell.accuracy) * rest
    difficulty = rng.standard_normal(cell.images, np.float32) * np.float32(DIFFICULTY)
    correct, models, runs = {}, {}, {}
    for m, seeds in enumerate(cell.seeds):
        sd, failed = _seed_effect(cell, m)
        centre = base + shift * (m % 2)
        effect = rng.standard_normal(seeds) * sd + FAILURE * (rng.random(seeds) < failed)
        latent = difficulty + rng.standard_normal(cell.images, np.float32) * np.float32(TASTE)
        noise = rng.standard_normal((seeds, cell.images), np.float32) * np.float32(NOISE)
        correct[str(m)] = noise + latent > -np.float32(centre) - effect.astype(np.float32)[:, None]
        total = np.hypot(rest, sd)
        parts = ((1 - failed, centre), (failed, centre + FAILURE))
        models[str(m)] = float(sum(share * ndtr(at / total) for share, at in parts))
        runs[str(m)] = float(ndtr((centre + effect) / rest).mean())
    return Study(correct, models, runs)


def _seed_effect(cell: Cell, model: int) -> tuple[float, float]:
    """Return the standard deviation of a model's seeds and the share of its trainings that fail."""
    sd = SEED_EFFECTS[cell.effect]
    if cell.broken == "unequal effects":
        sd *= 3 if model % 2 else 1
    return sd, 0.1 if cell.broken == "one training in ten fails" else 0.0


def measured(cell: Cell, studies: int, seed: int) -> Rates:
    """Simulate ``studies`` studies of a cell and count what is claimed of them."""
    rng = np.random.default_rng(seed)
    shift = _shift(cell, rng)
    drawn, found = [], []
    for _ in range(studies):
        made = study(cell, shift, rng)
        comparisons = compare(made.correct)
        drawn.append([_truth(made, comparison) for comparison in comparisons])
        found.append(comparisons)
    return _rates(cell, np.array(drawn), found)


def _truth(made: Study, comparison: Comparison) -> float:
    of = made.models if comparison.scope == "models" else made.runs
    return of[comparison.first] - of[comparison.second]


def _shift(cell: Cell, rng: np.random.Generator) -> float:
    """Return the shift that makes models as far apart as the cell asks."""
    if cell.truth == "equal":
        return 0.0
    distance = MARGIN
    if cell.truth == "apart":
        pilot = [study(cell, 0.0, rng).correct for _ in range(150)]
        distance = SOUGHT * float(np.std([made["1"].mean() - made["0"].mean() for made in pilot]))
    total = np.sqrt(DIFFICULTY**2 + TASTE**2 + NOISE**2 + SEED_EFFECTS[cell.effect] ** 2)
    return float(total * (ndtri(min(cell.accuracy + distance, 0.999)) - ndtri(cell.accuracy)))


def _rates(cell: Cell, truth: np.ndarray, found: list[list[Comparison]]) -> Rates:
    verdict = np.array([[comparison.verdict for comparison in each] for each in found])
    low, high, difference = (
        np.array([[getattr(comparison, key) for comparison in each] for each in found])
        for key in ("low", "high", "difference")
    )
    claimed = np.select([verdict == "first", verdict == "second"], [1, -1], 0)
    far = np.abs(truth) >= MARGIN * 0.999
    apart = (np.abs(truth) > 1e-9) & (cell.truth == "apart")
    wrong = (claimed != 0) & (claimed != np.sign(np.where(np.abs(truth) > 1e-9, truth, 0)))
    deviation = np.std(difference - truth, axis=0)
    oracle = _oracle(difference, deviation) & (np.sign(difference) == np.sign(truth))
    return Rates(
        cell=cell,
        studies=len(truth),
        difference=float(np.abs(truth).max(axis=1).mean()),
        false_claims=float(wrong.any(axis=1).mean()),
        false_equivalence=float(((verdict == "equivalent") & far).any(axis=1).mean()) if far.any() else None,
        coverage=float(((low <= truth) & (truth <= high)).mean()),
        power=float((claimed == np.sign(truth))[apart].mean()) if apart.any() else None,
        oracle=float(oracle[apart].mean()) if apart.any() else None,
    )


def _oracle(difference: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Return which pairs a test that knows the standard errors tells apart, with the same correction."""
    p = 2 * ndtr(-np.abs(difference) / np.maximum(deviation, 1e-12))
    return np.array([holm(each) < ALPHA for each in p])


def cells() -> Iterator[Cell]:
    """Yield the studies of the table: what is sound first, then what breaks an assumption."""
    grid = [
        (seeds, images, effect)
        for seeds in ((1, 1), (2, 2), (3, 3), (5, 5), (10, 10))
        for images, effect in ((100, "small"), (1000, "none"), (1000, "large"), (10000, "small"))
    ]
    grid += [((1, 5), 1000, "small"), ((2, 10), 1000, "large"), ((1, 1, 3, 3), 1000, "small")]
    grid += [((3,) * 4, 1000, "large"), ((3,) * 8, 1000, "small"), ((5,) * 8, 1000, "large")]
    for seeds, images, effect in grid:
        for truth in ("equal", "apart", "margin"):
            if max(seeds) > 1 or effect != "large":
                yield Cell(truth, seeds, images, effect)
    for accuracy in (0.7, 0.97):
        yield from (Cell(truth, (3, 3), 1000, "small", accuracy) for truth in ("equal", "apart"))
    for seeds in ((2, 2), (3, 3), (10, 10), (3,) * 4):
        for broken in ("one training in ten fails", "unequal effects"):
            yield from (Cell(t, seeds, 1000, "large", broken=broken) for t in ("equal", "margin"))
    for seeds in ((1, 1), (3, 3), (10, 10)):
        yield from (Cell(t, seeds, 30, "small", 0.7, "30 images") for t in ("equal", "apart"))


def studies_of(cell: Cell, scale: float) -> int:
    """Return how many studies of a cell are drawn: large ones cost more."""
    cost = 1 + len(cell.seeds) ** 2 / 12 + sum(cell.seeds) * cell.images / 40000
    return int(scale * 2000 / cost)


def line(rates: Rates) -> str:
    """Return one row of the table."""
    cell = rates.cell
    seeds = " ".join(map(str, cell.seeds)) if len(set(cell.seeds)) > 1 else f"{cell.seeds[0]}"
    columns = [
        cell.broken or "",
        cell.truth,
        str(len(cell.seeds)),
        seeds,
        f"{cell.images:,}",
        cell.effect,
        f"{cell.accuracy:.0%}",
        *map(_percent, (rates.false_claims, rates.false_equivalence, rates.coverage, rates.power)),
        _percent(rates.oracle),
        f"{rates.studies:,}",
    ]
    return "| " + " | ".join(columns) + " |"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f}"


HEAD = (
    "assumption broken | truth | models | seeds | images | effect of a training | accuracy | "
    "false claims | false equivalence | coverage | power | oracle | studies"
)


def written(found: list[Rates], scale: float, best: str, seconds: float) -> None:
    """Write the tables and the figures."""
    ruler = "|".join(["---"] * len(HEAD.split("|")))
    text = (
        "# Error rates of the verdict\n\n"
        f"Written by `make bench-verdict OPTIONS={scale:g}` ({seconds:.0f} s of processor time). Shares in "
        "percent: of studies for false claims and false equivalence, of pairs for coverage and power. "
        "The oracle knows the standard errors and "
        "corrects for the family as the verdict does. With one seed each the truth is that of the trained "
        "networks.\n\n"
        f"| {HEAD} |\n|{ruler}|\n" + "\n".join(map(line, found)) + "\n\n"
        "## What no rule could exceed\n\n"
        "Power in percent for a difference that a test which knew all variances would find in 80 %: of the "
        "verdict, and of the best of all rules that claim at most 5 % of equal models to differ whatever the "
        "effect of a training (a linear program, best for that one effect). The effect is the variance that "
        "trainings add to the difference, over that of the images. By `bench/ceiling.py`.\n\n" + best + "\n\n"
        "## What is said of times\n\n"
        "Shares of studies in percent: equal times called apart, times a tenth apart called the same, and "
        "how often 1.5 and 3 times as long is told. Of several models, of the dearest and the cheapest. By "
        "`bench/costs.py`.\n\n" + costs.written() + "\n"
    )
    (FOLDER / "verdict.md").write_text(text)
    rows = [json.dumps(asdict(rates)) for rates in found]
    (FOLDER / "verdict.json").write_text("[\n" + ",\n".join(rows) + "\n]\n")


def main() -> None:
    """Simulate all cells in two processes; an argument scales how many studies each has."""
    scale = float(sys.argv[1]) if len(sys.argv) > 1 else USUAL
    kinds = list(cells())
    counts = [studies_of(cell, scale) for cell in kinds]
    with ProcessPoolExecutor(2) as pool:
        found = list(pool.map(measured, kinds, counts, range(len(kinds))))
    best = ceiling.written()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    written(found, scale, best, sum(one.ru_utime + one.ru_stime for one in used))


if __name__ == "__main__":
    main()
