"""What in the folders of runs no params file refers to any more, and which params file a run was made for.

Each command that makes runs notes its params file beside them. So a run may go when a study that is known
made it and no params file asks for it now; one that cannot be placed is kept.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.experiment import Experiment, untuned
from pipeline.files import digest, write_json
from pipeline.job import is_taken
from pipeline.plan import PlannedRun, plan, whole_runs
from pipeline.tuning import known


@dataclass(frozen=True)
class Unreferenced:
    """A folder that no params file refers to; ``placed`` when it is known for which one it was made."""

    path: Path
    size_bytes: int
    placed: bool

    def remove(self) -> None:
        shutil.rmtree(self.path)


def note_study(experiment: Experiment, planned: Sequence[PlannedRun]) -> None:
    """Note beside the runs for which params file they are made, together with those of earlier times."""
    path = Path(experiment.path).absolute()
    note = Path(experiment.runs_dir) / ".locks" / f"study-{digest(str(path))[:16]}.json"
    made = {run_id for name, run_ids in _noted(note) if name == path for run_id in run_ids}
    if not made.issuperset(p.run_id for p in planned):
        note.parent.mkdir(parents=True, exist_ok=True)
        made.update(p.run_id for p in planned)
        with suppress(OSError):  # without the note, these runs are kept
            write_json(note, {"params_file": str(path), "run_ids": sorted(made)})


def _noted(*notes: Path) -> Iterator[tuple[Path, set[str]]]:
    for note in notes:
        with suppress(OSError, ValueError, KeyError, TypeError):
            content = json.loads(note.read_text(encoding="utf-8"))
            yield Path(content["params_file"]), set(content["run_ids"])


def params_files() -> list[Path]:
    """Return the params files in ``params`` and below."""
    return sorted(path for path in Path("params").rglob("*") if path.suffix in (".yaml", ".yml"))


def unreferenced(named: Iterable[Path]) -> list[Unreferenced]:
    """Return the run folders, whole or begun, that no params file refers to: none of those named or noted.

    Those that a process works on now are left out. Where an experiment's data are not at hand, its run
    ids cannot be told; then every run with its settings is kept. Raises InputError for a named params file
    that cannot be read: it may need its runs.
    """
    experiments = [Experiment.from_yaml(path) for path in named]
    if not experiments:
        raise InputError("params: no params file here; name those whose runs are to be kept.")
    kept = set().union(*(_referred(experiment) for experiment in experiments))
    folders = sorted({Path(experiment.runs_dir) for experiment in experiments})
    return [found for folder in folders for found in _unreferenced_in(folder, kept)]


def _unreferenced_in(folder: Path, kept: set[str]) -> Iterator[Unreferenced]:
    notes = list(_noted(*sorted(folder.glob(".locks/study-*.json"))))
    needed = kept.union(*(_needed(path, run_ids) for path, run_ids in notes))
    # Where a params file is gone with its folder, that is on a disk or a machine that is not here.
    placed = set[str]().union(*(run_ids for path, run_ids in notes if path.parent.is_dir()))
    for path in _runs_in(folder):
        run_id = _run_id(path)
        if run_id not in needed and not is_taken(folder, run_id):
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            yield Unreferenced(path, size, run_id in placed)


def _needed(params_file: Path, made: set[str]) -> set[str]:
    """Return the runs that a noted params file asks for now: none when it is gone, all when it is unclear."""
    if not params_file.is_file():
        return set()
    try:
        return _referred(Experiment.from_yaml(params_file))
    except InputError:
        return made


def _referred(experiment: Experiment) -> set[str]:
    try:
        return {planned.run_id for planned in plan(known(experiment)[0])}
    except InputError:
        settings = {digest(run.identity()) for run in experiment.runs}
        searched = {untuned(search.base) for search in experiment.searches}
        return {
            record.run_id
            for record in whole_runs(Path(experiment.runs_dir))
            if digest(record.settings.identity()) in settings or untuned(record.settings) in searched
        }


def _runs_in(folder: Path) -> Iterator[Path]:
    """Yield the folders that a run made: whole ones hold record.json, begun ones are named .partial."""
    for path in sorted(folder.glob("[!.]*")) + sorted(folder.glob(".*.partial")):
        if path.is_dir() and (path.name.endswith(".partial") or (path / "record.json").is_file()):
            yield path


def _run_id(path: Path) -> str:
    return path.name.removeprefix(".").removesuffix(".partial")
