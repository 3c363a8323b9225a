"""Error rates of what the report says of two times: made-up runs whose true times are known.

A run's time is the true one times the exponential of a normal number; what breaks that is tried too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb

import numpy as np

from pipeline.report.evidence.costs import CLOSE, over_seeds, relation

BUSY, SHARE_BUSY = 2.0, 0.2  # times as long beside another program, and how many runs are
SLOWER = 2.0  # times as long at the end of a study as at its beginning
STUDIES = 1000
HEAD = "what breaks | models | runs each | spread | false claims | false equality | 1.5 told | 3 told"


@dataclass(frozen=True)
class Cell:
    """One kind of study."""

    runs: int  # of each model
    spread: float  # standard deviation of a run's log time: 0.1 is about 10 %
    models: int = 2
    broken: str = ""


def cells() -> Iterator[Cell]:
    """Yield the studies of the table: what is sound first, then what breaks an assumption."""
    yield from (Cell(runs, spread) for runs in (1, 2, 3, 5, 10) for spread in (0.02, 0.1, 0.3))
    yield from (Cell(runs, 0.1, 8) for runs in (1, 2, 3, 5))
    for broken in ("one run in five beside another program", "the machine slows down, models in turn"):
        yield from (Cell(runs, 0.05, 2, broken) for runs in (1, 2, 3, 5))
    yield from (Cell(runs, 0.05, 2, "the machine slows down, model by model") for runs in (1, 2, 3, 5))


def times(cell: Cell, ratio: float, rng: np.random.Generator) -> np.ndarray:
    """Draw the seconds [models, runs] of one study; the last model truly takes ``ratio`` times as long."""
    logs = cell.spread * rng.standard_normal((cell.models, cell.runs))
    logs[-1] += np.log(ratio)
    if cell.broken.startswith("one run"):
        logs += np.log(BUSY) * (rng.random(logs.shape) < SHARE_BUSY)
    if cell.broken.startswith("the machine"):
        order = np.linspace(0, 1, logs.size)
        in_turn = cell.broken.endswith("in turn")
        logs += np.log(SLOWER) * (order.reshape(logs.shape[::-1]).T if in_turn else order.reshape(logs.shape))
    return np.exp(logs)


def said(cell: Cell, ratio: float, rng: np.random.Generator) -> str:
    """Return what the report says of the dearest of a study's models against the cheapest."""
    found = [over_seeds(each) for each in times(cell, ratio, rng)]
    if cell.models > 2:
        found.sort(key=lambda one: one.value)
    return relation(found[-1], found[0], comb(cell.models, 2))


def rates(cell: Cell, studies: int = STUDIES) -> list[float]:
    """Return four shares: false claims of equal times, equality claimed at CLOSE, 1.5 and 3 times told."""
    rng = np.random.default_rng(0)

    def share(ratio: float, *answers: str) -> float:
        return float(np.mean([said(cell, ratio, rng) in answers for _ in range(studies)]))

    return [share(1, "more", "less"), share(CLOSE, "same"), share(1.5, "more"), share(3, "more")]


def written() -> str:
    """Return the table."""
    lines = [f"| {HEAD} |", "|" + "---|" * len(HEAD.split("|"))]
    for cell in cells():
        shares = [f"{100 * share:.1f}" for share in rates(cell)]
        columns = [cell.broken, str(cell.models), str(cell.runs), f"{cell.spread:.0%}", *shares]
        lines.append("| " + " | ".join(columns) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(written())
