"""``python -m bench``: make the comparisons that this machine can make, and write down what came out."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench import busy, memory, overhead, probe, report_at_scale, results, scaling, study, throughput, to_90
from bench.measuring import Options, SkippedError

COMPARISONS: tuple[Any, ...] = (
    throughput, busy, probe, overhead, report_at_scale, memory, scaling, study, to_90,
)  # fmt: skip
LEAST_ROUNDS = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, write ``bench/results.json`` and ``bench/results.md``, and print the table."""
    given = _parse(arguments)
    chosen = [c for c in COMPARISONS if set(c.KEYS) & set(given.only or results.KEYS)]
    if given.quick and not given.only:
        chosen.remove(to_90)
    entries: dict[str, Any] = {}
    for comparison in chosen:
        for key, entry in _measure(comparison, given):
            entries[key] = entry
            results.write(entries, given.output)
    print((given.output / "results.md").read_text(encoding="utf-8"))
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes, without time to 90 %%: minutes")
    parser.add_argument("--only", nargs="+", choices=results.KEYS, metavar="KEY", help="these keys alone")
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="pairs (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=results.FOLDER, help="folder of results.json")
    return parser.parse_args(arguments)


def _measure(comparison: Any, given: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each key of a comparison with its entry; one that cannot be made here is named."""
    print(f"{', '.join(comparison.KEYS)}:", file=sys.stderr, flush=True)
    load, started = os.getloadavg()[0], time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="headstart-bench-") as folder:
        try:
            for result in comparison.compare(Options(given.quick, given.rounds, Path(folder))):
                yield result.key, results.entry(result, given.quick, load)
        except SkippedError as error:
            print(f"  skipped: {error}", file=sys.stderr, flush=True)
    print(f"  {time.perf_counter() - started:.0f} s in all", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
