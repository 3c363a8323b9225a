"""What a run_id is made of: everything that can change a run's results, and nothing else."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pipeline import gpus
from pipeline.errors import ModelError, RecordError
from pipeline.experiment import Experiment, RunSettings, own_network
from pipeline.files import CACHE, digest, kept
from pipeline.record import RunRecord, run_id
from pipeline.source import code_hash

TOLD = 5  # networks that cannot be used, in one line
WORDS = {
    "settings": "settings",
    "data": "the images",
    "source": "the training code",
    "weights": "the pretrained weights",
    "hardware": "the device or its precision",
}


@dataclass(frozen=True)
class PlannedRun:
    """One run that an experiment asks for, whole already or not."""

    settings: RunSettings
    hashes: dict[str, str]
    folder: Path

    @property
    def run_id(self) -> str:
        return self.folder.name

    def record(self) -> RunRecord | None:
        """Return the whole run, complete or failed, or None when it has not run yet."""
        return RunRecord.read(self.folder) if (self.folder / "record.json").is_file() else None


def plan(experiment: Experiment) -> list[PlannedRun]:
    """Return the runs of an experiment in the order of its params file.

    Raises InputError for data, models or weights that cannot be used: before any work starts.
    """
    from pipeline.learn import models  # torch takes a second to import: only when needed
    from pipeline.learn.data import sources

    for settings in experiment.runs:
        if not own_network(settings.model):
            models.check(settings)
    fingerprints = sources.checked_fingerprints(experiment.runs)
    _try_own_networks(experiment)
    pairs = zip(experiment.runs, fingerprints, strict=True)
    return [_planned(experiment, settings, _hashes(settings, images)) for settings, images in pairs]


def _try_own_networks(experiment: Experiment) -> None:
    """Raise ModelError for networks of the user's own that two images cannot be trained with.

    All are tried, so that a class of students is told once, and not once for each.
    """
    problems: dict[str, None] = {}
    tried: set[str] = set()
    for settings in experiment.runs:
        if own_network(settings.model):
            from pipeline.learn.data import sources
            from pipeline.learn.models import own

            try:
                key = digest([own.source_hash(settings), settings.model_copy(update={"seed": 0}).identity()])
                if key not in tried:
                    own.check(settings, *sources.likely_input(settings))
                tried.add(key)
            except ModelError as error:
                problems[str(error)] = None
    if problems:
        more = f" ({len(problems) - TOLD:,} more networks fail.)" if len(problems) > TOLD else ""
        raise ModelError(" ".join(list(problems)[:TOLD]) + more)


def like(planned: PlannedRun, settings: RunSettings) -> PlannedRun:
    """Return the plan of a run that differs in settings alone which say how it learns."""
    hashes = planned.hashes | {"settings": digest(settings.identity())}
    return PlannedRun(settings, hashes, planned.folder.parent / run_id(settings, hashes))


def _planned(experiment: Experiment, settings: RunSettings, hashes: dict[str, str]) -> PlannedRun:
    return PlannedRun(settings, hashes, Path(experiment.runs_dir) / run_id(settings, hashes))


def found_hashes(settings: RunSettings) -> dict[str, str]:
    """Return what a run with these settings would be made of on this machine."""
    from pipeline.learn.data import sources

    return _hashes(settings, sources.fingerprint(settings))


def _hashes(settings: RunSettings, fingerprint: str) -> dict[str, str]:
    from pipeline.learn import models

    return {
        "settings": digest(settings.identity()),
        "data": fingerprint,
        "source": _source(settings),
        "weights": models.weights_hash(settings) or "",
        "hardware": hardware(settings),
    }


def _source(settings: RunSettings) -> str:
    """Return the hash of the code, with that of a network of the user's own where there is one."""
    if not own_network(settings.model):
        return source_hash()
    from pipeline.learn.models import own

    return digest([source_hash(), own.source_hash(settings)])


def hardware(settings: RunSettings) -> str:
    """Return what a run computes on here, as "cpu bf16".

    PyTorch says it; on a machine without a GPU its answer is kept, since importing it takes seconds.
    """

    def found() -> str:
        from pipeline.learn.device import choose

        chosen = choose(settings)
        return f"{chosen.device.type} {chosen.precision}"

    processor = _processor_alone()
    if processor is None:
        return found()
    asked = digest([settings.device, settings.precision, version("torch"), processor])[:16]
    return str(kept(CACHE / f"hardware-{asked}.json", found))


@cache
def _processor_alone() -> str | None:
    """Return what the processor says it can do, or None where there may be a GPU or it says nothing."""
    if gpus.may_be_there():
        return None
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line for line in lines if line.startswith(("flags", "Features"))), None)


@cache
def source_hash() -> str:
    """Return the hash of the code that can change a result, as it stood when first asked for."""
    return code_hash()


@dataclass(frozen=True)
class Reason:
    """Why a planned run is kept, tried again or new."""

    run_id: str
    state: str  # "whole", "failed", "damaged", "begun" or "new"
    text: str


def reasons(experiment: Experiment) -> list[Reason]:
    """Say of each run of an experiment whether it is kept, and if not, what changed."""
    earlier = list(whole_runs(Path(experiment.runs_dir)))
    return [_reason(planned, earlier) for planned in plan(experiment)]


def _reason(planned: PlannedRun, earlier: list[RunRecord]) -> Reason:
    try:
        record = planned.record()
        if record is not None:
            record.verify()
    except RecordError as error:
        return Reason(planned.run_id, "damaged", f"damaged and is made again: {error}")
    if record is not None and record.complete:
        return Reason(
            planned.run_id, "whole", f"whole; nothing that counts has changed{_trained_with(record)}"
        )
    if record is not None and record.diverged:
        return Reason(planned.run_id, "failed", "failed as it would again: a trial without a score")
    if record is not None and record.details.failure is not None:
        return Reason(
            planned.run_id, "failed", f"failed and is tried again: {record.details.failure.message}"
        )
    if (planned.folder.parent / f".{planned.run_id}.partial" / "checkpoint.pt").is_file():
        return Reason(planned.run_id, "begun", "begun; it goes on from its last checkpoint")
    nearest = _nearest(planned, earlier)
    if nearest is None:
        return Reason(planned.run_id, "new", "new: no earlier run of this model, mode and seed")
    return Reason(planned.run_id, "new", _since(planned, nearest))


def _trained_with(record: RunRecord) -> str:
    """Return which torch trained a run, and that it is not this one."""
    about = record.details.environment
    torch = about.packages.get("torch") if about else None
    if torch is None:
        return ""
    here = version("torch")
    return f"; trained with torch {torch}" + ("" if torch == here else f", here is {here}")


def _since(planned: PlannedRun, record: RunRecord) -> str:
    return f"new: since {record.run_id}, {changes(planned, record)} changed{_trained_with(record)}"


def _nearest(planned: PlannedRun, earlier: Iterable[RunRecord]) -> RunRecord | None:
    def same_kind(record: RunRecord) -> bool:
        a, b = record.settings, planned.settings
        return (a.model, a.mode, a.seed) == (b.model, b.mode, b.seed)

    def distance(record: RunRecord) -> int:
        parts = sum(record.details.hashes.get(key) != value for key, value in planned.hashes.items())
        return 100 * parts + len(_changed_settings(planned.settings, record.settings))

    return min(filter(same_kind, earlier), key=distance, default=None)


def changes(planned: PlannedRun, record: RunRecord) -> str:
    """Return, in words, what of a planned run differs from an earlier one."""
    changed = []
    for key, value in planned.hashes.items():
        if record.details.hashes.get(key) == value:
            continue
        settings = _changed_settings(planned.settings, record.settings) if key == "settings" else {}
        changed += [f"{name} ({old!r} → {new!r})" for name, (old, new) in settings.items()] or [WORDS[key]]
    return ", ".join(changed) or "nothing known"


def _changed_settings(new: RunSettings, old: RunSettings) -> Mapping[str, tuple[object, object]]:
    after, before = new.effective(), old.effective()
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    }


def whole_runs(runs_dir: Path) -> Iterable[RunRecord]:
    """Yield every readable run in a folder of runs, complete or failed."""
    for path in sorted(runs_dir.glob("[!.]*/record.json")):
        try:
            yield RunRecord.read(path.parent)
        except RecordError:
            continue  # a damaged record is no earlier run to compare with
