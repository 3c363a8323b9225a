"""Many reports on one page: who did how well on which test images, and who cannot be told from whom.

Each file is a ``results.json`` or a report's folder. Models are ranked only where the test images are the
same; there every pair is tested, as one family.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import InputError
from pipeline.files import replacing
from pipeline.report.evidence.tests import Comparison, compare
from pipeline.report.page.templates import html
from pipeline.report.read_results import Model, Results, read
from pipeline.report.words.english import join, plural
from pipeline.report.words.numbers import percent, percent_range

WHERE = ("data_dir", "runs_dir", "threads", "num_workers", "seed")  # say where a run worked, not what it did


@dataclass(frozen=True)
class Entry:
    """One model of one study."""

    study: str
    results: Results
    model: Model

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of its chosen run that say what it did."""
        found = self.results.by_id[self.model.chosen].settings
        return {name: value for name, value in found.items() if name not in WHERE}

    @property
    def best(self) -> bool:
        """Whether it is what its study would choose: its best on val."""
        return self.model.key == self.results.best

    @cached_property
    def correct(self) -> np.ndarray:
        """Which images each seed got right, bool [seeds, images]."""
        return np.stack([self.results.correct[run] for run in self.model.runs])


@dataclass(frozen=True)
class Group:
    """The entries that were tested on the same images, best first."""

    entries: list[Entry]

    @property
    def data(self) -> str:
        """What the images were, by name, and how many."""
        results = self.entries[0].results
        assert results.test_images is not None
        name = results.dataset.name if results.dataset else "unnamed data"
        return f"{name}, {plural(results.test_images.count, 'test image')}"

    @property
    def digest(self) -> str:
        images = self.entries[0].results.test_images
        assert images is not None
        return images.digest

    @cached_property
    def tests(self) -> dict[tuple[int, int], Comparison]:
        """The test of each two entries, by their positions; none of an entry with its own runs."""
        first_with = self._first_with_runs
        distinct = [k for k, first in enumerate(first_with) if k == first]
        found = compare({str(k): self.entries[k].correct for k in distinct})
        by_pair = {(int(test.first), int(test.second)): test for test in found}
        places = range(len(self.entries))
        pairs = [(a, b) for a in places for b in places if a < b and first_with[a] != first_with[b]]
        return {(a, b): _seen(by_pair, first_with[a], first_with[b]) for a, b in pairs}

    @property
    def _first_with_runs(self) -> list[int]:
        """For each entry the first one that has the same runs: often itself."""
        runs = [sorted(entry.model.runs) for entry in self.entries]
        return [runs.index(own) for own in runs]

    def same_runs(self, place: int) -> list[int]:
        """Return the other entries that are the same runs."""
        firsts = self._first_with_runs
        return [k for k, first in enumerate(firsts) if first == firsts[place] and k != place]

    def not_told_from(self, place: int) -> list[int]:
        """Return the entries that neither do better nor worse than this one, beyond noise."""
        return [
            a + b - place
            for (a, b), test in self.tests.items()
            if place in (a, b) and not test.distinguishable
        ]

    @cached_property
    def differing(self) -> list[str]:
        """The settings that are not the same for all entries, but for model and mode."""
        every = [entry.settings for entry in self.entries]
        names = dict.fromkeys(name for settings in every for name in settings)
        return [
            name
            for name in names
            if name not in ("model", "mode")
            and len({repr(settings[name]) for settings in every if name in settings}) > 1
        ]


def _seen(tests: dict[tuple[int, int], Comparison], a: int, b: int) -> Comparison:
    return tests[a, b] if (a, b) in tests else tests[b, a].reversed


@dataclass(frozen=True)
class Board:
    """All entries in groups, the group of most studies first, and the studies without a whole run."""

    groups: list[Group]
    without: list[str]

    @property
    def studies(self) -> int:
        return len({entry.study for group in self.groups for entry in group.entries}) + len(self.without)


def board(files: Sequence[str | Path]) -> Board:
    """Read the results of many reports. Raises InputError for a file that cannot be used."""
    places = [Path(file) / "results.json" if Path(file).is_dir() else Path(file) for file in files]
    places = list({place.absolute(): place for place in places}.values())
    found = dict(zip(study_names(places), [read(place) for place in places], strict=True))
    groups: dict[tuple[int, str], list[Entry]] = {}
    for study, results in found.items():
        for model in results.models:
            assert results.test_images is not None  # where there are models, read() holds that
            key = (results.test_images.count, results.test_images.digest)
            groups.setdefault(key, []).append(Entry(study, results, model))
    ranked = [
        Group(sorted(entries, key=lambda entry: -entry.model.accuracy.value)) for entries in groups.values()
    ]
    ranked.sort(key=lambda group: -len({entry.study for entry in group.entries}))
    return Board(ranked, [study for study, results in found.items() if not results.models])


def study_names(places: Sequence[Path]) -> list[str]:
    """Return a name for each file, each once: of its path what is not the same for all."""
    parts = [
        place.absolute().parent.parts
        if place.name == "results.json"
        else place.absolute().with_suffix("").parts
        for place in places
    ]
    start = _alike([own[:-1] for own in parts])
    end = _alike([own[:start:-1] for own in parts]) if len(parts) > 1 else 0
    names = ["/".join(own[start : len(own) - end]) for own in parts]
    return names if len(set(names)) == len(names) else ["/".join(own[start:]) for own in parts]


def _alike(paths: Sequence[Sequence[str]]) -> int:
    """Return with how many equal parts all paths begin."""
    columns = list(zip(*paths, strict=False))
    return next((k for k, column in enumerate(columns) if len(set(column)) > 1), len(columns))


def check_output(path: Path) -> None:
    """Raise InputError for a page that cannot be written: before any work."""
    if path.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{path}: the board is a page, so its name must end in .html.")
    if not path.absolute().parent.is_dir():
        raise InputError(f"{path}: no such folder to write to.")


def write(path: Path, found: Board) -> None:
    """Write the page, whole or not at all. Raises InputError where it cannot be written."""
    content = page(found)
    try:
        with replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror or error}. Make room there.") from None


def page(found: Board) -> str:
    """Return the board as one HTML page, which asks for nothing else."""
    return html(
        "board",
        title=f"{plural(found.studies, 'study', 'studies')} side by side",
        summary=summary(found),
        groups=[
            {
                "data": group.data,
                "digest": group.digest[:12],
                "rows": [_row(group, place) for place in range(len(group.entries))],
                "notes": _notes(group),
            }
            for group in found.groups
        ],
    )


def summary(found: Board) -> list[str]:
    """Return what the board holds and what may be read from it, sentence by sentence."""
    entries = sum(len(group.entries) for group in found.groups)
    said = [f"{plural(entries, 'model')} of {plural(found.studies, 'study', 'studies')}."]
    if len(found.groups) > 1:
        said.append(
            f"They were tested on {len(found.groups)} different sets of images; models of different sets are "
            "never ranked together, as nobody can tell an easier set from a better model."
        )
    said += [_first(group) for group in found.groups if len(group.entries) > 1]
    if found.without:
        said.append(f"Without a whole run: {join(found.without)}.")
    return said


def _first(group: Group) -> str:
    first, rest = group.entries[0], group.not_told_from(0)
    name = f"{first.model.label} of {first.study}"
    if not rest:
        same = group.same_runs(0)
        others = "all others" if not same else "all that are not the same runs"
        return f"{group.data}: {name} is better than {others}, beyond noise."
    return f"{group.data}: {name} is ahead, and {len(rest)} of the others cannot be told from it."


def _notes(group: Group) -> list[str]:
    """Return how the rows of a table are to be read."""
    if len(group.entries) < 2:
        return []
    tests = len({frozenset((group._first_with_runs[a], group._first_with_runs[b])) for a, b in group.tests})
    said = [
        f"All answered the same images, so each pair was tested image by image: {plural(tests, 'test')}, "
        "corrected together (Holm). An interval is of one row alone; two may overlap and still differ.",
        "Rows stand by accuracy on test. Whoever takes the first of many rows for that has chosen on test: "
        "it is ahead partly by luck. Bold is what each study would choose, by val alone.",
    ]
    if any(test.scope == "runs" for test in group.tests.values()):
        said.append("Where nothing has several seeds, findings are of these trained networks.")
    return said


def _row(group: Group, place: int) -> dict[str, Any]:
    entry = group.entries[place]
    accuracy, settings = entry.model.accuracy, entry.settings
    same = group.same_runs(place)
    told = positions(group.not_told_from(place))
    return {
        "place": place + 1,
        "study": entry.study,
        "title": entry.results.title,
        "label": entry.model.label,
        "best": entry.best,
        "accuracy": percent(accuracy.value),
        "interval": percent_range(accuracy.low, accuracy.high),
        "low": f"{100 * accuracy.low:.3f}",
        "width": f"{100 * max(accuracy.high - accuracy.low, 0.002):.3f}",
        "seeds": len(entry.model.runs),
        "told": " · ".join(filter(None, [told, f"same runs as {positions(same)}" if same else ""])) or "–",
        "settings": [f"{name} {_shown(settings[name])}" for name in group.differing if name in settings],
    }


def _shown(value: Any) -> str:
    return (", ".join(map(str, value)) or "none") if isinstance(value, list) else str(value)


def positions(places: Sequence[int]) -> str:
    """Return places, counted from 0, as their numbers in a table: [1, 2, 3, 6] → 2–4, 7."""
    runs: list[list[int]] = []
    for place in sorted(places):
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(
        f"{run[0] + 1}–{run[-1] + 1}" if len(run) > 2 else ", ".join(str(k + 1) for k in run) for run in runs
    )
