"""What a params file may say: an Experiment, and the RunSettings of each of its runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from pipeline.errors import SettingsError
from pipeline.files import expanded
from pipeline.ranges import Range, Searched, Tuning, ranges
from pipeline.yaml_errors import BACKSLASHES, explain, kind, read_yaml, refuse_unknown_keys, shown

Size = int | Literal["all"]  # of a training set
Mode = Literal["scratch", "linear_probe", "fine_tune"]
Augmentation = Literal[
    "crop", "flip", "alternating_flip", "vertical_flip", "rotation", "color_jitter", "random_erasing",
    "rand_augment", "mixup", "cutmix",
]  # fmt: skip

MODES: tuple[str, ...] = get_args(Mode)
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
MEASURED = ("device", "precision")  # identity holds what was found in their place

# With ``budget: steps`` an epoch goes over a small subset again and again until it took as many steps as
# over all images, but no more often than this: more passes only wear down images known by heart.
MOST_PASSES = 100

Fraction = Annotated[float, Field(gt=0, lt=1)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class AppliesWhen:
    """Stands beside a setting that has an effect only when this holds for all the settings of a run."""

    holds: Callable[["RunSettings"], bool]


NEVER = AppliesWhen(lambda _: False)  # it says where a run reads and works, not what it learns
GROUPED = AppliesWhen(lambda s: s.group is not None)
HUGGINGFACE = AppliesWhen(lambda s: s.dataset == "huggingface")
TABLE = AppliesWhen(lambda s: s.dataset == "table")
OWN = AppliesWhen(lambda s: own_network(s.model))
CUSTOM_CNN = AppliesWhen(lambda s: s.model == "custom_cnn")
FINE_TUNE = AppliesWhen(lambda s: s.mode == "fine_tune")
LINEAR_PROBE = AppliesWhen(lambda s: s.mode == "linear_probe")
PRETRAINED = AppliesWhen(lambda s: s.mode != "scratch")
MOMENTUM = AppliesWhen(lambda s: s.optimizer in ("sgd", "muon"))
CONSTANT = AppliesWhen(lambda s: s.schedule == "constant")
WARMUP = AppliesWhen(lambda s: s.schedule != "one_cycle")
CROP = AppliesWhen(lambda s: "crop" in s.augmentation)
DETERMINISTIC = AppliesWhen(lambda s: s.deterministic)
SUBSET = AppliesWhen(lambda s: s.train_size is not None)
ROTATION = AppliesWhen(lambda s: "rotation" in s.augmentation)
WEIGHTED = AppliesWhen(lambda s: s.class_weights is not None)
TRIAL = AppliesWhen(lambda s: s.trial is not None)
PRUNED = AppliesWhen(lambda s: bool(s.prune_below))
SAMPLED = AppliesWhen(lambda s: s.sampler is not None)


def own_network(model: str) -> bool:
    """Whether a model's name means a class in a file of the user's own, as ``nets/my_net.py:MyNet``."""
    path, _, name = model.rpartition(":")
    return path.endswith(".py") and name.isidentifier()


class RunSettings(BaseModel):
    """Everything one training run depends on: the parameters of ``notebooks/train.ipynb``.

    Flat and JSON-safe, because Papermill hands it to a kernel as source text. A setting with an
    ``AppliesWhen`` has no effect otherwise: then it neither makes a new run nor is said to have been used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # What to learn from
    dataset: Name = Field(
        "digits", description="cifar10, digits, image_folder, table, huggingface, or a torchvision set"
    )
    name: Annotated[Name | None, HUGGINGFACE] = Field(
        None, description="huggingface: a folder saved by the datasets library, or a name of the hub"
    )
    data_dir: Annotated[Name, NEVER] = Field(
        "data", description="folder that holds the data, or receives the download"
    )
    labels: Annotated[Name | None, TABLE] = Field(
        None, description="table: CSV, TSV or parquet file in data_dir that names the class of each image"
    )
    file_column: Annotated[Name | None, TABLE] = Field(
        None, description="table: column with file names; None: found by its name"
    )
    label_column: Annotated[Name | None, TABLE] = Field(
        None, description="table: column with classes; None: found by its name"
    )
    group: Annotated[Name | None, GROUPED] = Field(
        None, description="column of the table, or pattern of file names: images that stay together"
    )
    image_size: Annotated[int, Field(ge=8, le=1024, strict=True)] | None = Field(
        None, description="side in pixels that the network sees; None: the weights' own or the data's"
    )
    resize: Literal["crop", "squish", "pad"] = Field(
        "crop", description="how an image becomes a square: crop its middle, squish it, or pad it with black"
    )
    val_fraction: Fraction = Field(0.1, description="share of the training images kept for val")
    test_fraction: Fraction = Field(0.2, description="share kept for test when the data bring none")
    split_seed: Seed = Field(0, description="seed of the splits, the same for every run")
    max_train_images: Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)] | None = Field(
        None, description="use at most so many training images; None: all"
    )
    train_size: Annotated[Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)] | None, SUBSET] = Field(
        None, description="learn from so many of them, drawn anew for each seed; None: all"
    )
    budget: Annotated[Literal["steps", "epochs"], SUBSET] = Field(
        "steps", description="what a subset is given as much of as all images would be: steps or epochs"
    )
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="share of unreadable image files that is skipped, not refused"
    )
    augmentation: list[Augmentation] = Field([], description="any of " + ", ".join(AUGMENTATIONS))
    crop_share: Annotated[float, Field(gt=0, le=0.5), CROP] = Field(
        0.125, description="crop: an image moves by at most this share of its side"
    )
    rotation_degrees: Annotated[float, Field(gt=0, le=180), ROTATION] = Field(
        15.0, description="rotation: an image turns by at most so many degrees either way"
    )

    # What learns
    model: Name = Field(
        "custom_cnn", description="custom_cnn, efficientnet_lite0, torchvision's, timm/<name>, file.py:Class"
    )
    model_args: Annotated[dict[str, JsonValue], OWN] = Field(
        {}, description="file.py:Class: what its class is given beside num_classes and image_size"
    )
    mode: Mode = Field("scratch", description="scratch, linear_probe or fine_tune")
    weights: Annotated[Name | None, PRETRAINED] = Field(
        None, description="a torchvision weights name or a file; None: the best published"
    )
    widths: Annotated[
        list[Annotated[int, Field(ge=1, le=4096, strict=True)]],
        Field(min_length=1, max_length=8),
        CUSTOM_CNN,
    ] = Field([64, 128, 256], description="custom_cnn: channels of each stage")
    depth: Annotated[int, Field(ge=1, le=8, strict=True), CUSTOM_CNN] = Field(
        2, description="custom_cnn: convolutions in each stage"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of features dropped before the last layer"
    )

    # How it learns
    seed: Seed = Field(0, description="seed of initialisation, data order and augmentation")
    epochs: Epochs = Field(10, description="at most so many passes over the training images")
    # one_cycle and cosine improve a network most at their end, which patience would cut off.
    patience: Annotated[Epochs | None, CONSTANT] = Field(
        None, description="constant: stop after so many epochs without a lower val loss; None: never"
    )
    batch_size: Annotated[int, Field(ge=1, le=65536, strict=True)] = Field(
        128, description="images in one training step"
    )
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = Field(
        "adamw", description="sgd, adam, adamw, or muon for convolutions with adamw for the rest"
    )
    learning_rate: Annotated[float, Field(gt=0, le=100), Searched(low=0.1, high=10, relative=True)] = Field(
        1e-3, description="highest learning rate of the schedule"
    )
    weight_decay: Annotated[float, Field(ge=0, le=10), Searched(low=0.03, high=30, relative=True)] = Field(
        5e-4, description="L2 penalty on weights"
    )
    momentum: Annotated[float, Field(ge=0, lt=1), MOMENTUM] = Field(0.9, description="sgd and muon: momentum")
    nesterov: Annotated[bool, MOMENTUM] = Field(True, description="sgd and muon: Nesterov momentum")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "one_cycle", description="constant, cosine or one_cycle"
    )
    warmup_epochs: Annotated[float, Field(ge=0, le=1000), WARMUP] = Field(
        0.0, description="constant and cosine: epochs of linear warm-up"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="label smoothing")
    class_weights: Annotated[Literal["balanced"] | None, WEIGHTED] = Field(
        None, description="balanced: rare classes weigh more in the loss; None: each image alike"
    )
    sampler: Annotated[Literal["balanced"] | None, SAMPLED] = Field(
        None, description="balanced: each class is shown equally often; None: each image once an epoch"
    )
    gradient_clip: Annotated[float, Field(gt=0)] | None = Field(
        None, description="largest gradient norm; None: no clipping"
    )
    weight_averaging: bool = Field(False, description="evaluate an average of the weights of late steps")
    head_epochs: Annotated[
        int, Field(ge=0, le=1_000_000, strict=True), FINE_TUNE, Searched(low=1, high=5, log=False)
    ] = Field(3, description="fine_tune: epochs of the new head alone, first")
    backbone_learning_rate_factor: Annotated[
        float, Field(gt=0, le=1), FINE_TUNE, Searched(low=0.01, high=1)
    ] = Field(0.1, description="fine_tune: learning rate of the backbone, as a share of the head's")
    freeze_batchnorm: Annotated[bool, FINE_TUNE] = Field(
        True, description="fine_tune: keep the statistics of BatchNorm"
    )
    feature_views: Annotated[int, Field(ge=1, le=100, strict=True), LINEAR_PROBE] = Field(
        1, description="linear_probe: augmented views of each image whose features are cached"
    )
    flip_at_test: bool = Field(False, description="average predictions over an image and its mirror")
    trial: Annotated[Annotated[int, Field(ge=0, strict=True)] | None, TRIAL] = Field(
        None, description="tuning: which trial of a search this run is; None: none"
    )
    prune_below: Annotated[list[float], PRUNED] = Field(
        [], description="tuning: by epoch, the best val accuracy so far below which a trial stops"
    )

    # Where it runs
    precision: Literal["auto", "fp32", "bf16", "fp16"] = Field(
        "auto", description="auto, fp32, bf16 or fp16; auto: the fastest that the device multiplies itself"
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto, cpu, cuda or mps")
    deterministic: Annotated[bool, DETERMINISTIC] = Field(
        False, description="the same numbers again on the same machine, where that takes slower ways"
    )
    compile: bool = Field(False, description="whether torch.compile makes the training steps")
    threads: Annotated[Annotated[int, Field(ge=1, le=1024, strict=True)] | None, NEVER] = Field(
        None, description="threads on the CPU, for results equal bit for bit; None: as many as cores are free"
    )
    num_workers: Annotated[int, Field(ge=0, le=256, strict=True), NEVER] = Field(
        0, description="processes that read images which do not fit memory"
    )

    @field_validator("dataset", "data_dir", "labels", "model", "weights")
    @classmethod
    def _printable(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and not value.isprintable():
            path = info.field_name in ("data_dir", "labels", "weights")
            raise ValueError("holds a line break or control character" + (f"; {BACKSLASHES}" if path else ""))
        return value

    @field_validator("data_dir", "weights", "labels")
    @classmethod
    def _expanded(cls, value: str | None) -> str | None:
        """Write out ``~`` and variables, as a shell would, and names as the disk spells them."""
        return value and expanded(value)

    @model_validator(mode="after")
    def _modes_fit(self) -> "RunSettings":
        if self.model == "custom_cnn" and self.mode != "scratch":
            raise ValueError(
                f"mode is {self.mode!r}, but custom_cnn has no pretrained weights; "
                "use mode scratch or another model"
            )
        if self.mode == "scratch" and self.weights is not None:
            raise ValueError("weights are given, but mode scratch starts without any; drop one")
        if self.class_weights and self.sampler:
            raise ValueError("class_weights and sampler both balance the classes; drop one of them")
        return self

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> "RunSettings":
        """Return the settings that a notebook's ``parameters`` cell defined in ``globals()``."""
        return cls(**{key: namespace[key] for key in cls.model_fields if key in namespace})

    def effective(self) -> dict[str, Any]:
        """Return the settings that have an effect on this run, by name."""
        idle = {name for name, field in type(self).model_fields.items() if not self._applies(field.metadata)}
        return self.model_dump(exclude=idle)

    def _applies(self, about: list[Any]) -> bool:
        return all(mark.holds(self) for mark in about if isinstance(mark, AppliesWhen))

    def identity(self) -> dict[str, Any]:
        """Return the settings that can change this run's results, but for what is measured in their place."""
        return {name: value for name, value in self.effective().items() if name not in MEASURED}

    @property
    def data_name(self) -> str:
        """What the images are called: a data set's own name, or their folder's."""
        own = Path(self.data_dir).name if self.dataset in ("image_folder", "table") else self.name
        return own or self.dataset

    @property
    def pretrained(self) -> bool:
        """Whether the run starts from a pretrained network."""
        return self.mode != "scratch"


# What tuning searches, by the setting's name.
SEARCHED: dict[str, Searched] = {
    name: mark
    for name, field in RunSettings.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, Searched)
}


class Search(BaseModel):
    """What one entry of ``models`` searches: from its first seed at its largest training size, on val."""

    model_config = ConfigDict(frozen=True)

    base: RunSettings
    ranges: dict[str, Range]
    runs: list[RunSettings]  # of the entry, by its own settings

    def trial(self, number: int, chosen: Mapping[str, Any], prune_below: list[float]) -> RunSettings:
        """Return the settings of a trial."""
        return _changed(self.base, {**chosen, "trial": number, "prune_below": prune_below})

    def final(self, chosen: Mapping[str, Any]) -> list[RunSettings]:
        """Return the entry's runs with the settings that the search chose."""
        return [_changed(run, chosen) for run in self.runs]


def _changed(settings: RunSettings, changes: Mapping[str, Any]) -> RunSettings:
    return RunSettings(**{**settings.model_dump(), **changes})


class Experiment(BaseModel):
    """One params file: a title, seeds, and the runs it asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    title: str
    description: str = ""
    author: str = ""
    runs_dir: str = "runs"
    practical_difference: float = 0.01  # of accuracy, a fraction: what is smaller does not matter
    baselines: bool = True  # whether the report shows them
    robustness: bool = False  # whether each network is asked under worse conditions too
    logger: Literal["tensorboard", "mlflow"] | None = None  # who is told of runs
    explain: bool = False  # whether maps show where in test images something speaks for an answer
    external_test: str | None = None  # folder of images from elsewhere, one folder for each class
    path: str = ""
    runs: list[RunSettings]
    tuning: Tuning | None = None
    searches: list[Search] = []  # one for each entry of models, where they are tuned

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Experiment":
        """Read a params file.

        Raises SettingsError, in one line, for anything wrong with it.
        """
        return _experiment(Path(path), read_yaml(Path(path)))

    @classmethod
    def as_asked(cls, path: str | Path) -> "Experiment":
        """Read an experiment kept with ``model_dump_json``: its params file may be another by now."""
        return cls.model_validate_json(Path(path).read_text(encoding="utf-8"))

    @property
    def models(self) -> list[list[RunSettings]]:
        """The runs, grouped by entry of ``models``: one inner list holds its seeds."""
        groups: dict[str, list[RunSettings]] = {}
        for run in self.runs:
            groups.setdefault(run.model_copy(update={"seed": 0}).model_dump_json(), []).append(run)
        return list(groups.values())


ENTRY_KEYS = ("train_sizes", "tune")  # of an entry of models, beside the settings of its runs
EXPERIMENT_KEYS = (
    "title", "description", "author", "runs_dir", "practical_difference", "baselines", "robustness",
    "explain", "logger", "external_test", "tuning", "tune", "seeds", "train_sizes", "models",
)  # fmt: skip


def _experiment(path: Path, content: dict[str, Any]) -> Experiment:
    known = (*EXPERIMENT_KEYS, *RunSettings.model_fields)
    refuse_unknown_keys(path, "", content, known)
    defaults = {key: value for key, value in content.items() if key in RunSettings.model_fields}
    entries = list(_entries(path, content, defaults))
    runs = [run for entry in entries for run in entry]
    _refuse_twice(path, runs)
    tuning = Tuning.of(path, content["tuning"]) if "tuning" in content else None
    return Experiment(
        name=path.stem,
        title=_text(path, content, "title", f"Custom CNN or transfer learning on {runs[0].data_name}?"),
        description=_text(path, content, "description", ""),
        author=_text(path, content, "author", ""),
        runs_dir=_folder(path, content, "runs_dir", "runs"),
        practical_difference=_margin(path, content),
        baselines=_switch(path, content, "baselines", True),
        robustness=_switch(path, content, "robustness", False),
        explain=_switch(path, content, "explain", False),
        external_test=_external(path, content),
        logger=_logger(path, content),
        path=str(path),
        runs=runs,
        tuning=tuning,
        searches=_searches(path, content, entries) if tuning else [],
    )


def _entries(path: Path, content: dict[str, Any], defaults: dict[str, Any]) -> Iterator[list[RunSettings]]:
    """Yield the runs of each entry of ``models``."""
    entries = content.get("models")
    if not isinstance(entries, list) or not entries:
        found = "is missing" if "models" not in content else f"is {shown(entries)}"
        raise SettingsError(
            f"{path}: models {found}; it must be a list of at least one, as '- {{model: custom_cnn}}'."
        )
    seeds = _seeds(path, content, defaults)
    for position, entry in enumerate(entries):
        where = f"models[{position}]: "
        if isinstance(entry, str):
            entry = {"model": entry}
        if not isinstance(entry, dict):
            raise SettingsError(
                f"{path}: {where}is {kind(entry)}; it must be keys and values, as {{model: custom_cnn}}."
            )
        refuse_unknown_keys(path, where, entry, (*ENTRY_KEYS, *RunSettings.model_fields))
        own_seeds = [entry["seed"]] if "seed" in entry else seeds
        own = {key: value for key, value in entry.items() if key not in ENTRY_KEYS}
        yield [
            _settings(path, where, {**defaults, **own, "seed": seed, **size}, entry)
            for size in _sizes(path, where, content, entry)
            for seed in own_seeds
        ]


def _searches(path: Path, content: dict[str, Any], entries: list[list[RunSettings]]) -> list[Search]:
    """Return what each entry searches. Raises SettingsError where there is nothing, or the same twice."""
    found: dict[str, int] = {}
    searches = []
    for position, (runs, entry) in enumerate(zip(entries, content["models"], strict=True)):
        base = max(runs, key=lambda run: run.train_size or float("inf"))
        idle = SEARCHED.keys() - base.effective()
        shared = {key: value for key, value in _ranges_given(path, "", content).items() if key not in idle}
        tune = shared | _ranges_given(path, f"models[{position}]: ", entry)
        where = f"models[{position}]: " if isinstance(entry, dict) and "tune" in entry else ""
        searched = ranges(path, where, tune, SEARCHED, base.effective())
        first = found.setdefault(untuned(base), position)
        if first != position:
            raise SettingsError(
                f"{path}: models[{first}] and models[{position}] differ in nothing but what tuning searches; "
                "drop one."
            )
        searches.append(Search(base=base, ranges=searched, runs=runs))
    return searches


def _ranges_given(path: Path, where: str, given: Any) -> dict[str, Any]:
    tune = given.get("tune", {}) if isinstance(given, dict) else {}
    if not isinstance(tune, dict):
        raise SettingsError(
            f"{path}: {where}tune is {shown(tune)}; it must be keys and ranges, as "
            "{learning_rate: [1e-4, 1e-2]}."
        )
    return tune


def untuned(settings: RunSettings) -> str:
    """Return what a trial and the runs with the settings that it led to share: all but those settings."""
    fixed: dict[str, Any] = {
        "seed": 0,
        "train_size": None,
        "budget": "steps",
        "trial": None,
        "prune_below": [],
    }
    effective = settings.model_copy(update=fixed).effective()
    return repr({name: value for name, value in effective.items() if name not in SEARCHED})


def _seeds(path: Path, content: dict[str, Any], defaults: dict[str, Any]) -> list[Any]:
    if "seeds" not in content:
        return [defaults.get("seed", 0)]
    seeds = content["seeds"]
    usable = isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds)
    if not usable or len(set(seeds)) < len(seeds):
        raise SettingsError(
            f"{path}: seeds is {shown(seeds)}; it must be a list of different whole numbers, as [0, 1, 2]."
        )
    if "seed" in defaults:
        raise SettingsError(f"{path}: both seed and seeds are given; keep one.")
    return seeds


def checked_sizes(sizes: Sequence[Size], place: str = "train_sizes") -> tuple[Size, ...]:
    """Return ``sizes`` if they are positive and rising, with ``all`` at most once and last.

    Raises SettingsError otherwise; needs no data.
    """
    if not isinstance(sizes, list | tuple) or not sizes:
        found = "is empty" if isinstance(sizes, list | tuple) else f"is {shown(sizes)}"
        raise SettingsError(f"{place} {found}; name sizes, as [100, 300, 1000, all], or leave it out.")
    for before, size in zip((0, *sizes), sizes, strict=False):
        whole = size == "all" or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
        if not whole:
            raise SettingsError(f"{place} holds {shown(size)}; each must be a positive integer, or all.")
        if before == "all" or (size != "all" and size <= before):
            raise SettingsError(f"{place}: {size} follows {before}; sizes must rise, each once, all last.")
    return tuple(sizes)


def _sizes(
    path: Path, where: str, content: dict[str, Any], entry: dict[str, Any]
) -> list[dict[str, int | None]]:
    """Return what each training size of an entry adds to its settings: nothing where none is named."""
    place, given = (where, entry) if "train_sizes" in entry or "train_size" in entry else ("", content)
    if "train_sizes" not in given:
        return [{}]
    if "train_size" in given:
        raise SettingsError(f"{path}: {place}both train_size and train_sizes are given; keep one.")
    sizes = checked_sizes(given["train_sizes"], f"{path}: {place}train_sizes")
    return [{"train_size": None if size == "all" else size} for size in sizes]


def _settings(path: Path, where: str, values: dict[str, Any], own: dict[str, Any]) -> RunSettings:
    try:
        return RunSettings(**values)
    except ValidationError as error:
        details = error.errors()[0]
        key = str(details["loc"][0]) if details["loc"] else ""
        place = where if not key or key in own else ""
        raise SettingsError(f"{path}: {place}{explain(details)}") from None


def _refuse_twice(path: Path, runs: list[RunSettings]) -> None:
    seen: dict[str, RunSettings] = {}
    for run in runs:
        first = seen.setdefault(repr((run.data_dir, run.effective())), run)
        if first is not run:
            raise SettingsError(
                f"{path}: models asks for {run.model} ({run.mode}, seed {run.seed}) twice with the same "
                f"settings{_idle_difference(first, run)}; drop one or change a setting."
            )


def _idle_difference(first: RunSettings, second: RunSettings) -> str:
    before, after = first.model_dump(), second.model_dump()
    names = [name for name in before if before[name] != after[name]]
    return f" ({', '.join(names)} without effect there)" if names else ""


def _text(path: Path, content: dict[str, Any], key: str, default: str) -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or len(value) > 2000:
        raise SettingsError(f"{path}: {key} is {shown(value)}; it must be text of at most 2,000 characters.")
    if any("\ud800" <= c <= "\udfff" for c in value):  # halves of a character, which no file can hold
        raise SettingsError(f"{path}: {key} is {shown(value)}; it must be Unicode text.")
    return value


def _switch(path: Path, content: dict[str, Any], key: str, default: bool) -> bool:
    value = content.get(key, default)
    if not isinstance(value, bool):
        raise SettingsError(f"{path}: {key} is {shown(value)}; it must be true or false.")
    return value


def _logger(path: Path, content: dict[str, Any]) -> Literal["tensorboard", "mlflow"] | None:
    value = content.get("logger")
    if value not in (None, "tensorboard", "mlflow"):
        raise SettingsError(f"{path}: logger is {shown(value)}; it must be tensorboard or mlflow.")
    return value


def _margin(path: Path, content: dict[str, Any]) -> float:
    """Return the difference of accuracy that matters, a fraction."""
    value = content.get("practical_difference", 0.01)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise SettingsError(
            f"{path}: practical_difference is {value!r}; it must be a fraction between 0 and 1, as 0.01 for "
            "one point of accuracy."
        )
    return float(value)


def _external(path: Path, content: dict[str, Any]) -> str | None:
    if content.get("external_test") is None:
        return None
    folder = _folder(path, content, "external_test", "")
    if not Path(folder).is_dir():
        raise SettingsError(
            f"{path}: external_test is {shown(folder)}; it must be a folder with a folder for each class."
        )
    return folder


def _folder(path: Path, content: dict[str, Any], key: str, default: str) -> str:
    value = _text(path, content, key, default)
    if not value or not value.isprintable():
        raise SettingsError(f"{path}: {key} is {shown(value)}; it must be the path of a folder.")
    return expanded(value)
