"""What in the folders of runs no params file refers to any more."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import InputError
from pipeline.experiment import Experiment
from pipeline.files import digest
from pipeline.job import is_taken
from pipeline.plan import plan, whole_runs


@dataclass(frozen=True)
class Unreferenced:
    """A folder that may go."""

    path: Path
    size_bytes: int

    def remove(self) -> None:
        shutil.rmtree(self.path)


def unreferenced(params_files: Iterable[Path]) -> list[Unreferenced]:
    """Return the run folders, whole or begun, that none of these params files refers to.

    Those that a process works on now are left alone.

    Where an experiment's data are not at hand, its run ids cannot be told; then every run with its
    settings is kept. Raises InputError for a params file that cannot be read: it may need its runs.
    """
    experiments = [Experiment.from_yaml(path) for path in params_files]
    if not experiments:
        raise InputError("params: no params file here; name those whose runs are to be kept.")
    kept = set().union(*(_referred(experiment) for experiment in experiments))
    folders = {Path(experiment.runs_dir) for experiment in experiments}
    found = [path for folder in sorted(folders) for path in _runs_in(folder) if _run_id(path) not in kept]
    found = [path for path in found if not is_taken(path.parent, _run_id(path))]
    return [
        Unreferenced(path, sum(f.stat().st_size for f in path.rglob("*") if f.is_file())) for path in found
    ]


def _referred(experiment: Experiment) -> set[str]:
    try:
        return {planned.run_id for planned in plan(experiment)}
    except InputError:
        settings = {digest(run.identity()) for run in experiment.runs}
        records = whole_runs(Path(experiment.runs_dir))
        return {record.run_id for record in records if digest(record.settings.identity()) in settings}


def _runs_in(folder: Path) -> Iterator[Path]:
    """Yield the folders that a run made: whole ones hold record.json, begun ones are named .partial."""
    for path in sorted(folder.glob("[!.]*")) + sorted(folder.glob(".*.partial")):
        if path.is_dir() and (path.name.endswith(".partial") or (path / "record.json").is_file()):
            yield path


def _run_id(path: Path) -> str:
    return path.name.removeprefix(".").removesuffix(".partial")
