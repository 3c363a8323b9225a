"""What a run_id is made of: everything that can change a run's results, and nothing else."""

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pipeline.errors import RecordError
from pipeline.experiment import Experiment, RunSettings
from pipeline.files import digest
from pipeline.record import RunRecord, run_id

PACKAGE = Path(__file__).parent
NOTEBOOK = PACKAGE / "notebooks" / "train.ipynb"
# These only say where the run happens; the hardware that was found is hashed in their place.
WITHOUT_EFFECT = frozenset({"data_dir", "num_workers", "device", "precision"})
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
    from pipeline.learn import device, models  # torch takes a second to import: only when needed
    from pipeline.learn.data import sources

    for settings in experiment.runs:
        models.check(settings)
    planned = []
    for settings, fingerprint in zip(
        experiment.runs, sources.checked_fingerprints(experiment.runs), strict=True
    ):
        found = device.choose(settings)
        hashes = {
            "settings": digest(effective_settings(settings)),
            "data": fingerprint,
            "source": source_hash(),
            "weights": models.weights_hash(settings) or "",
            "hardware": f"{found.device.type} {found.precision}",
        }
        planned.append(PlannedRun(settings, hashes, Path(experiment.runs_dir) / run_id(settings, hashes)))
    return planned


def effective_settings(settings: RunSettings) -> dict[str, object]:
    """Return the settings that can change this run's results."""
    without = set(WITHOUT_EFFECT)
    if settings.model != "custom_cnn":
        without |= {"widths", "depth"}
    if settings.mode != "fine_tune":
        without |= {"head_epochs", "backbone_learning_rate_factor", "freeze_batchnorm"}
    if settings.mode != "linear_probe":
        without |= {"feature_views"}
    if settings.optimizer not in ("sgd", "muon"):
        without |= {"momentum", "nesterov"}
    if settings.schedule == "one_cycle":
        without |= {"warmup_epochs"}
    if settings.mode == "scratch":
        without |= {"weights"}
    if "crop" not in settings.augmentation:
        without |= {"crop_share"}
    return {key: value for key, value in settings.model_dump().items() if key not in without}


@cache
def source_hash() -> str:
    """Return the hash of the code that trains: ``pipeline/learn`` and the notebook's code cells.

    Comments, formatting and prose are left out: they cannot change a result.
    """
    parts = [
        _code_hash(path.read_text(encoding="utf-8")) for path in sorted((PACKAGE / "learn").glob("**/*.py"))
    ]
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    parts += [_code_hash("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    return digest(parts)


def _code_hash(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


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
        return Reason(planned.run_id, "whole", "whole; nothing that counts has changed")
    if record is not None and record.details.failure is not None:
        return Reason(
            planned.run_id, "failed", f"failed and is tried again: {record.details.failure.message}"
        )
    if (planned.folder.parent / f".{planned.run_id}.partial" / "checkpoint.pt").is_file():
        return Reason(planned.run_id, "begun", "begun; it goes on from its last finished epoch")
    nearest = _nearest(planned, earlier)
    if nearest is None:
        return Reason(planned.run_id, "new", "new: no earlier run of this model, mode and seed")
    return Reason(planned.run_id, "new", f"new: since {nearest.run_id}, {changes(planned, nearest)} changed")


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
    after, before = effective_settings(new), effective_settings(old)
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
