"""RunRecord: the wall between training, which writes it, and the report, which reads it.

A run's folder holds ``settings.yaml``, ``train.ipynb``, ``history.csv``, ``predictions.parquet``,
``baselines.json``, ``gallery.parquet``, ``images.parquet``, ``model.safetensors`` and, written last,
``record.json``.
"""

import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from pipeline.errors import RecordError, one_line
from pipeline.experiment import RunSettings
from pipeline.files import digest, file_hash, give_usual_rights, replacing, write_json

SCHEMA_VERSION = 1
HISTORY_COLUMNS = (
    "epoch",
    "train_loss",
    "train_accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "epoch_seconds",
)
# What an epoch did; None in records that were written before these columns were.
STAGE_COLUMNS = (
    "stage",  # head: the last layer alone; network: all layers
    "augmented",  # whether training images were changed at random
    "cached_features",  # whether features were seen that were computed once, in place of images
)
# Worse conditions that a network may be asked under, each at three strengths, weakest first.
CONDITIONS: dict[str, tuple[float, float, float]] = {
    "blur": (0.015, 0.03, 0.06),  # deviation of a Gaussian, as a share of the image's side
    "noise": (0.04, 0.08, 0.16),  # deviation of Gaussian noise, as a share of the range of levels
    "jpeg": (50, 25, 10),  # quality
    "brightness": (1.25, 1.5, 2.0),  # factor
    "contrast": (0.6, 0.4, 0.2),  # factor
    "resolution": (0.75, 0.5, 0.25),  # share of the side that is kept
}
CONDITIONS_VERSION = 1  # raise when images are changed in another way, so that networks are asked again
CONDITION_COLUMNS = ("condition", "strength", "index", "target", "prediction", "probability")
INT8_COLUMNS = ("index", "target", "prediction", "probability")
EXPLANATIONS_VERSION = 1  # raise when maps are made in another way
EXPLANATION_COLUMNS = ("index", "answer", "map", "picture", "shuffled")
MAP_SIDE = 16  # of an explanation map, in fields
EXTERNAL_COLUMNS = ("file", "target", "prediction", "probability")
GALLERY_COLUMNS = ("kind", "split", "index", "target", "file", "png")
# Of each image; then, each with ``METADATA`` before its name, what the data say of it beside its class.
IMAGE_COLUMNS = (
    *("split", "index", "target", "file", "group", "width", "height", "file_type", "file_number"),
    *("brightness", "level_01", "level_05", "level_50", "level_95", "level_99", "red_cast", "blue_cast"),
    *("contrast", "sharpness", "pixels"),
)
METADATA = "about_"
RUN_FOLDER_VARIABLE = "HEADSTART_RUN_FOLDER"
NOTEBOOKS = Path(__file__).parent / "notebooks"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Copies(_Part):
    """Which images of one split are also in another: ``index`` of each, and of the one that it is a copy of.

    ``lookalikes`` resemble an image there and are other pictures: they are no duplicates.
    """

    searched: int
    exact: list[int] = []  # equal pixels
    exact_of: list[int] = []
    near: list[int] = []  # one picture, up to brightness, contrast, compression and a shift
    near_of: list[int] = []
    lookalikes: list[int] = []
    note: str = ""  # why near copies were not looked for


class Duplicates(_Part):
    """Copies among the images, by a rule whose threshold the data set.

    Distances are what is left of one image after another is fitted to it, as a share of its contrast.
    """

    rule: str
    threshold: float | None = None  # near copies are at most so far apart; None: only exact ones count
    similarity_threshold: float | None = None  # of thumbnails, for pictures that were cropped or recoloured
    class_distance: float | None = None  # images of different classes are farther apart in 99 of 100 cases
    test_in_train: Copies
    test_in_val: Copies
    val_in_train: Copies
    train_across_classes: Copies  # training images with a copy of another class


class DatasetInfo(_Part):
    """What the images were. Counts are images; class lists are in the order of ``classes``."""

    name: str
    fingerprint: str
    source: str = ""
    split_sizes: dict[str, int]
    class_counts: dict[str, list[int]]
    native_size: list[int] | None = None  # height, width; None when sizes differ
    split_note: str = ""
    unreadable: list[str] = []
    duplicates: Duplicates | None = None
    near_duplicates: list[int] = []  # indices of test images that are exact or near copies of one in train
    near_duplicates_note: str = ""
    notes: list[str] = []  # sentences: what was left out, scaled, or lost on the way to the network
    pixel_scale: list[float] | None = None  # what is black and what white, for pixels of more than 8 bits
    seen_share: float = 1.0  # mean share of an image's area that the network sees
    reduction: float = 1.0  # how many times smaller the typical image is made for the network
    typical_side: float | None = None  # pixels; half of the images have at least this shorter side
    scaling: Literal["up", "down", "none"] | None = None  # what that takes to reach the network's size
    images_found: int | None = None  # in all parts, before splits and limits; unreadable ones included
    files_found: int | None = None  # the same as files; None where images have no files of their own


class ModelInfo(_Part):
    """What learned. ``macs`` counts one multiply-add once, for one image."""

    name: str
    mode: str
    total_parameters: int
    trainable_parameters: int
    macs: int
    input_size: int
    weights_name: str | None = None
    weights_hash: str | None = None
    initialisation: str | None = None  # as "random" or "pretrained, head random"
    pretrained_size: int | None = None  # side in pixels that the weights were trained for, where known
    description: str = ""
    layers: list[dict[str, Any]] = []  # name, kind, output, parameters: one per top-level stage
    source: str | None = Field(default=None, repr=False)  # the file of a network of the user's own


class Timings(_Part):
    """Seconds and bytes.

    ``train_seconds`` is what training time means everywhere: ``feature_seconds`` and the ``epoch_seconds`` of
    all epochs, each with its pass over val; not reading images, building the network or judging it.
    """

    train_seconds: float
    feature_seconds: float = 0.0
    load_seconds: float = 0.0
    evaluate_seconds: float
    latency_seconds: float  # median, one image a batch
    latency_seconds_p10: float | None = None
    latency_seconds_p90: float | None = None
    throughput_images_per_second: float
    throughput_batch_size: int
    peak_memory_bytes: int
    energy_joules: float | None = None
    energy_note: str = ""
    papermill_seconds: float | None = None  # kernel start to notebook saved, set by the parent


class Environment(_Part):
    """Where it ran."""

    git_commit: str | None = None
    git_dirty: bool | None = None
    packages: dict[str, str]
    python: str
    platform: str
    device: str
    cpu: str
    threads: int
    precision: str


class BaselineAnswers(_Part):
    """What a simple answer that no network was trained for says of the same images, in their order.

    ``predicted`` holds a class for each image of val and test; ``settings`` what was chosen on val.
    """

    name: str
    predicted: dict[str, list[int]]
    seconds: float
    settings: dict[str, Any] = {}


class Failure(_Part):
    """Why a run has no results."""

    kind: str  # the exception's class name
    message: str  # one line
    cell: str | None = None  # which cell of the notebook, as "5 (fit)"
    traceback: str = ""


class RunDetails(_Part):
    """The content of ``record.json``."""

    schema_version: int = SCHEMA_VERSION
    status: Literal["complete", "failed"]
    run_id: str
    settings: RunSettings
    classes: list[str] = []
    dataset: DatasetInfo | None = None
    model: ModelInfo | None = None
    timings: Timings | None = None
    best_epoch: int | None = None
    best_stage: str | None = None  # head or network: in which stage the kept epoch was
    kept_by: str | None = None  # "val_loss": what was lowest in the kept epoch
    patience_in_effect: bool | None = None  # whether patience could have ended training
    stop_reason: str | None = None  # "all epochs done" or "val loss did not fall for 5 epochs"
    environment: Environment | None = None
    failure: Failure | None = None
    hashes: dict[str, str] = Field(default={}, description="what run_id was made of")
    files: dict[str, str] = Field(default={}, description="SHA-256 of each file of the run")
    checksum: str = Field(default="", description="SHA-256 of all the rest of this record")

    def sealed(self, folder: Path, without: Collection[str] = ()) -> "RunDetails":
        """Return the same with the hashes of the files in ``folder``, and its own checksum.

        The record itself and the files named in ``without`` are no part of the run.
        """
        own = (path for path in sorted(folder.iterdir()) if path.name not in (*without, "record.json"))
        files = {path.name: file_hash(path) for path in own if path.is_file()}
        whole = self.model_copy(update={"files": files, "checksum": ""})
        return whole.model_copy(update={"checksum": digest(whole.model_dump())})


@dataclass(frozen=True)
class SplitPredictions:
    """One model's answers on one split.

    ``index`` int64 [n], ``target`` int64 [n], ``probability`` float32 [n, classes].
    """

    index: np.ndarray
    target: np.ndarray
    probability: np.ndarray

    @cached_property
    def predicted(self) -> np.ndarray:
        """The most probable class of each image, int64 [n]."""
        return self.probability.argmax(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether each prediction is right, bool [n]."""
        return self.predicted == self.target


@dataclass(frozen=True)
class RunRecord:
    """One run, read from its folder; tables are read when first asked for."""

    folder: Path
    details: RunDetails

    @classmethod
    def read(cls, folder: Path) -> "RunRecord":
        """Read a run.

        Raises RecordError when ``record.json`` is missing, damaged or of another schema version.
        """
        path = folder / "record.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content.get("schema_version")
            if found != SCHEMA_VERSION:
                raise RecordError(
                    f"{path}: schema_version is {found!r}, this Headstart reads {SCHEMA_VERSION}. "
                    f"Delete {folder} to have it run again."
                )
            details = RunDetails(**content)
            if not _intact(content):
                raise ValueError("its checksum does not match")
            return cls(folder, details)
        except FileNotFoundError:
            raise RecordError(
                f"{path}: missing, so this run is not whole. Run the experiment again."
            ) from None
        except (OSError, ValueError, AttributeError, TypeError, RecursionError) as error:
            raise RecordError(
                f"{path}: damaged ({one_line(error, 120)}). Delete {folder} to have it run again."
            ) from None

    @property
    def run_id(self) -> str:
        return self.details.run_id

    @property
    def settings(self) -> RunSettings:
        return self.details.settings

    @property
    def complete(self) -> bool:
        return self.details.status == "complete"

    @property
    def diverged(self) -> bool:
        """Whether this is a trial of tuning that failed by its settings: made again, it would fail again."""
        failure = self.details.failure
        return self.settings.trial is not None and failure is not None and failure.kind == "RunError"

    @property
    def classes(self) -> list[str]:
        return self.details.classes

    @cached_property
    def history(self) -> pd.DataFrame:
        """One row per epoch, columns ``HISTORY_COLUMNS`` and ``STAGE_COLUMNS``, the latter None if unknown.

        Losses are in nats, accuracies fractions.
        """
        table = self._table("history.csv", HISTORY_COLUMNS)
        return table.assign(**{name: None for name in STAGE_COLUMNS if name not in table})

    @cached_property
    def baselines(self) -> list[BaselineAnswers]:
        """What a network of this run has to beat; none where the run was made without."""
        path = self.folder / "baselines.json"
        if path.name not in self.details.files and not path.is_file():
            return []
        self.verify(path.name)
        try:
            return [BaselineAnswers(**one) for one in json.loads(path.read_text(encoding="utf-8"))]
        except (OSError, ValueError, TypeError) as error:
            raise RecordError(
                f"{path}: cannot be read ({one_line(error, 120)}). Delete {self.folder} to have it run again."
            ) from None

    @property
    def predictions(self) -> pd.DataFrame:
        """The file: ``split`` (val or test), ``index``, ``target``, ``probability_<k>`` (float32)."""
        columns = ("split", "index", "target", *(f"probability_{k}" for k in range(len(self.classes))))
        return self._table("predictions.parquet", columns)

    @cached_property
    def gallery(self) -> pd.DataFrame:
        """Small images, columns ``GALLERY_COLUMNS``; ``kind`` is sample, augmented or error.

        ``png`` holds the bytes of a PNG of at most 64 pixels a side. ``index`` counts within the
        split, as in ``predictions``; augmented images are views of the training image ``index``.
        """
        return self._table("gallery.parquet", GALLERY_COLUMNS)

    @cached_property
    def images(self) -> pd.DataFrame | None:
        """What was measured of each image, columns ``IMAGE_COLUMNS`` and metadata; None of older runs."""
        if "images.parquet" not in self.details.files:
            return None
        return self._table("images.parquet", IMAGE_COLUMNS)

    @cached_property
    def conditions(self) -> pd.DataFrame | None:
        """Answers to test images under worse conditions, columns ``CONDITION_COLUMNS``; None without any.

        ``strength`` is 1 to 3; ``probability`` is that of the ``prediction``, not calibrated.
        """
        return self._beside("conditions.parquet", CONDITION_COLUMNS)

    @cached_property
    def external(self) -> pd.DataFrame | None:
        """Answers to images from elsewhere, columns ``EXTERNAL_COLUMNS``; None without any."""
        return self._beside("external.parquet", EXTERNAL_COLUMNS)

    @cached_property
    def explanations(self) -> pd.DataFrame | None:
        """Explanation maps of some test images, columns ``EXPLANATION_COLUMNS``; None without any.

        ``map`` holds uint8 [MAP_SIDE, MAP_SIDE] for the class ``answer``, ``picture`` a PNG, ``shuffled`` how
        far the map resembles that of shuffled weights. Its attrs hold the ``layer`` and its ``side``.
        """
        return self._beside("explanations.parquet", EXPLANATION_COLUMNS)

    @cached_property
    def int8(self) -> pd.DataFrame | None:
        """Answers to test of the network in 8 bits, columns ``INT8_COLUMNS``; None where none was exported.

        Its attrs hold the file's ``bytes``, and ``latency_seconds`` for one image beside ``fp32_seconds``.
        """
        return self._beside("int8.parquet", INT8_COLUMNS)

    def _beside(self, name: str, columns: Sequence[str]) -> pd.DataFrame | None:
        """Read what was asked of the whole run's network later; None where it is damaged or of another."""
        try:
            table = _read_table(self.folder, name, columns)
        except RecordError:
            return None
        return table if table.attrs.get("weights") == self._weights else None

    def write_beside(self, name: str, table: pd.DataFrame, **about: Any) -> None:
        """Write what a whole run's network was asked later; ``about`` comes back as the table's attrs."""
        table.attrs.update(weights=self._weights, **about)
        with replacing(self.folder / name, "wb") as file:
            table.to_parquet(file, index=False)
        self.__dict__.pop(name.partition(".")[0], None)  # what was read before

    @property
    def _weights(self) -> str:
        return self.details.files.get("model.safetensors", "")

    def split(self, name: Literal["val", "test"]) -> SplitPredictions:
        """Return the predictions on one split, ordered by image index."""
        return self._splits[name]

    @cached_property
    def _splits(self) -> dict[str, SplitPredictions]:
        table = self.predictions
        return {name: _split(table[table["split"] == name], len(self.classes)) for name in ("val", "test")}

    def _table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        self.verify(name)
        return _read_table(self.folder, name, columns)

    def verify(self, *names: str) -> None:
        """Raise RecordError unless these files, or else all of the run, are as they were written."""
        for name in names or self.details.files:
            path, expected = self.folder / name, self.details.files.get(name)
            if expected and (not path.is_file() or file_hash(path) != expected):
                wrong = "damaged: it is not what was written" if path.is_file() else "missing"
                raise RecordError(f"{path}: {wrong}. Delete {self.folder} to have it run again.")


def _intact(content: Mapping[str, Any]) -> bool:
    """Whether a record says what was sealed; one that never was is taken as it is.

    What counts is the file itself: a field that came later must not make an older record a damaged one.
    """
    checksum = content.get("checksum")
    return not checksum or checksum == digest({**content, "checksum": ""})


def _split(rows: pd.DataFrame, classes: int) -> SplitPredictions:
    """Return the rows of one split as arrays, ordered by image index; probabilities lie by class."""
    index = rows["index"].to_numpy(np.int64)
    order = np.argsort(index, kind="stable")
    probability = rows[[f"probability_{k}" for k in range(classes)]].to_numpy(np.float32)
    target = rows["target"].to_numpy(np.int64)
    return SplitPredictions(index[order], target[order], np.asfortranarray(probability[order]))


def _read_table(folder: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    path = folder / name
    try:
        table = pd.read_csv(path) if name.endswith(".csv") else pd.read_parquet(path)
    except Exception as error:  # noqa: BLE001 (every reader fails in its own way)
        raise RecordError(
            f"{path}: cannot be read ({one_line(error, 120)}). Delete {folder} to have it run again."
        ) from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise RecordError(f"{path}: lacks column {missing[0]!r}. Delete {folder} to have it run again.")
    return table


def predictions_table(splits: Mapping[str, SplitPredictions]) -> pd.DataFrame:
    """Return the table that ``predictions.parquet`` holds, from the predictions of each split."""
    parts = []
    for name, split in splits.items():
        table = pd.DataFrame(
            {f"probability_{k}": column for k, column in enumerate(split.probability.astype(np.float32).T)}
        )
        table.insert(0, "target", split.target.astype(np.int64))
        table.insert(0, "index", split.index.astype(np.int64))
        table.insert(0, "split", name)
        parts.append(table)
    return pd.concat(parts, ignore_index=True)


@dataclass(frozen=True)
class RunFolder:
    """Where a run that is under way keeps its files, before it is whole."""

    path: Path

    @classmethod
    def open(cls, settings: RunSettings) -> "RunFolder":
        """Return the folder that the parent process chose, or in Jupyter one of the project's.

        Jupyter starts in the notebook's folder; the project's is made the current one in its place.
        """
        chosen = os.environ.get(RUN_FOLDER_VARIABLE)
        if not chosen and Path.cwd() == NOTEBOOKS:
            os.chdir(NOTEBOOKS.parents[1])
        path = Path(chosen) if chosen else Path("runs") / f"{run_name(settings)}-jupyter"
        path.mkdir(parents=True, exist_ok=True)
        return cls(path)

    @property
    def checkpoint_path(self) -> Path:
        """Where training keeps what it needs to go on after a kill."""
        return self.path / "checkpoint.pt"

    def report_progress(self, **event: Any) -> None:
        """Append one event to ``progress.jsonl``, which the parent process follows live."""
        with (self.path / "progress.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def write_history(self, history: pd.DataFrame) -> None:
        with replacing(self.path / "history.csv") as file:
            history.to_csv(file, index=False)

    def write_predictions(self, splits: Mapping[str, SplitPredictions]) -> None:
        with replacing(self.path / "predictions.parquet", "wb") as file:
            predictions_table(splits).to_parquet(file, index=False)

    def write_baselines(self, found: Sequence[BaselineAnswers]) -> None:
        with replacing(self.path / "baselines.json") as file:
            json.dump([one.model_dump() for one in found], file)

    def write_gallery(self, gallery: pd.DataFrame) -> None:
        with replacing(self.path / "gallery.parquet", "wb") as file:
            gallery.loc[:, list(GALLERY_COLUMNS)].to_parquet(file, index=False)

    def write_images(self, images: pd.DataFrame) -> None:
        with replacing(self.path / "images.parquet", "wb") as file:
            images.to_parquet(file, index=False)

    def write_weights(self, save: Callable[[Path], None]) -> None:
        """Write ``model.safetensors``; ``save`` is given the path to write to."""
        partial = self.path / "model.safetensors.partial"
        save(partial)
        give_usual_rights(partial)  # safetensors lets nobody else read it
        partial.replace(self.path / "model.safetensors")

    def write_results(self, **results: Any) -> None:
        """Write what the notebook knows of ``record.json``; the parent adds the rest."""
        write_json(self.path / "results.json", {k: _plain(v) for k, v in results.items()})


def run_name(settings: RunSettings) -> str:
    """Return ``<model>-<mode>-s<seed>``, fit for a file name; ``-n<size>`` before the seed of a subset.

    A trial of a search has its number too, as ``-t3``.
    """
    model = "".join(c if c.isalnum() or c in "._" else "_" for c in settings.model)
    trial = "" if settings.trial is None else f"-t{settings.trial}"
    size = f"-n{settings.train_size}" if settings.train_size else ""
    return f"{model}-{settings.mode}{trial}{size}-s{settings.seed}"


def run_id(settings: RunSettings, hashes: Mapping[str, str]) -> str:
    """Return ``<model>-<mode>-s<seed>-<hash8>`` for settings and the hashes of all else that counts."""
    return f"{run_name(settings)}-{digest(hashes)[:8]}"


def write_settings(path: Path, settings: RunSettings) -> None:
    with replacing(path) as file:
        yaml.safe_dump(settings.model_dump(), file, sort_keys=False, allow_unicode=True)


def _plain(value: object) -> object:
    return value.model_dump() if isinstance(value, BaseModel) else value
