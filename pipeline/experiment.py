"""What a params file may say: an Experiment, and the RunSettings of each of its runs."""

import math
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from pipeline.errors import SettingsError, did_you_mean, one_line

Mode = Literal["scratch", "linear_probe", "fine_tune"]
Augmentation = Literal["crop", "flip", "alternating_flip", "color_jitter", "random_erasing", "rand_augment"]

MODES: tuple[str, ...] = get_args(Mode)
AUGMENTATIONS: tuple[str, ...] = get_args(Augmentation)
MAX_PARAMS_BYTES = 1_000_000

Fraction = Annotated[float, Field(gt=0, lt=1)]
Epochs = Annotated[int, Field(ge=1, le=1_000_000, strict=True)]
Seed = Annotated[int, Field(ge=0, lt=2**32, strict=True)]
Name = Annotated[str, Field(min_length=1, max_length=200)]


class RunSettings(BaseModel):
    """Everything one training run depends on: the parameters of ``notebooks/train.ipynb``.

    Flat and JSON-safe, because Papermill hands it to a kernel as source text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    # What to learn from
    dataset: Name = Field("digits", description="cifar10, digits, image_folder, or a torchvision set")
    data_dir: Name = Field("data", description="folder that holds the data, or receives the download")
    image_size: Annotated[int, Field(ge=8, le=1024, strict=True)] | None = Field(
        None, description="side in pixels that the network sees; None: the weights' own or the data's"
    )
    val_fraction: Fraction = Field(0.1, description="share of the training images kept for val")
    test_fraction: Fraction = Field(0.2, description="share kept for test when the data bring none")
    split_seed: Seed = Field(0, description="seed of the splits, the same for every run")
    max_train_images: Annotated[int, Field(ge=1, le=1_000_000_000, strict=True)] | None = Field(
        None, description="use at most so many training images; None: all"
    )
    max_unreadable: Annotated[float, Field(ge=0, le=1)] = Field(
        0.01, description="share of unreadable image files that is skipped, not refused"
    )
    augmentation: list[Augmentation] = Field([], description="any of " + ", ".join(AUGMENTATIONS))
    crop_share: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.125, description="crop: an image moves by at most this share of its side"
    )

    # What learns
    model: Name = Field(
        "custom_cnn", description="custom_cnn, efficientnet_lite0, a torchvision name, timm/<name>"
    )
    mode: Mode = Field("scratch", description="scratch, linear_probe or fine_tune")
    weights: Name | None = Field(
        None, description="a torchvision weights name or a file; None: the best published"
    )
    widths: Annotated[
        list[Annotated[int, Field(ge=1, le=4096, strict=True)]], Field(min_length=1, max_length=8)
    ] = Field([64, 128, 256], description="custom_cnn: channels of each stage")
    depth: Annotated[int, Field(ge=1, le=8, strict=True)] = Field(
        2, description="custom_cnn: convolutions in each stage"
    )
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.0, description="share of features dropped before the last layer"
    )

    # How it learns
    seed: Seed = Field(0, description="seed of initialisation, data order and augmentation")
    epochs: Epochs = Field(10, description="at most so many passes over the training images")
    patience: Epochs | None = Field(
        None, description="stop after so many epochs without a lower val loss; None: never"
    )
    batch_size: Annotated[int, Field(ge=1, le=65536, strict=True)] = Field(
        128, description="images in one training step"
    )
    optimizer: Literal["sgd", "adam", "adamw", "muon"] = Field(
        "adamw", description="sgd, adam, adamw, or muon for convolutions with adamw for the rest"
    )
    learning_rate: Annotated[float, Field(gt=0, le=100)] = Field(
        1e-3, description="highest learning rate of the schedule"
    )
    weight_decay: Annotated[float, Field(ge=0, le=10)] = Field(5e-4, description="L2 penalty on weights")
    momentum: Annotated[float, Field(ge=0, lt=1)] = Field(0.9, description="sgd and muon: momentum")
    nesterov: bool = Field(True, description="sgd and muon: Nesterov momentum")
    schedule: Literal["constant", "cosine", "one_cycle"] = Field(
        "one_cycle", description="constant, cosine or one_cycle"
    )
    warmup_epochs: Annotated[float, Field(ge=0, le=1000)] = Field(
        0.0, description="constant and cosine: epochs of linear warm-up"
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="label smoothing")
    gradient_clip: Annotated[float, Field(gt=0)] | None = Field(
        None, description="largest gradient norm; None: no clipping"
    )
    weight_averaging: bool = Field(False, description="evaluate an average of the weights of late steps")
    head_epochs: Annotated[int, Field(ge=0, le=1_000_000, strict=True)] = Field(
        3, description="fine_tune: epochs of the new head alone, first"
    )
    backbone_learning_rate_factor: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="fine_tune: learning rate of the backbone, as a share of the head's"
    )
    freeze_batchnorm: bool = Field(True, description="fine_tune: keep the statistics of BatchNorm")
    feature_views: Annotated[int, Field(ge=1, le=100, strict=True)] = Field(
        1, description="linear_probe: augmented views of each image whose features are cached"
    )
    flip_at_test: bool = Field(False, description="average predictions over an image and its mirror")

    # Where it runs
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto, fp32 or bf16")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto, cpu, cuda or mps")
    compile: bool = Field(False, description="whether torch.compile makes the training steps")
    num_workers: Annotated[int, Field(ge=0, le=256, strict=True)] = Field(
        0, description="processes that read images which do not fit memory"
    )

    @field_validator("dataset", "data_dir", "model", "weights")
    @classmethod
    def _printable(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("holds a line break or control character")
        return value

    @model_validator(mode="after")
    def _modes_fit(self) -> "RunSettings":
        if self.model == "custom_cnn" and self.mode != "scratch":
            raise ValueError(
                f"mode is {self.mode!r}, but custom_cnn has no pretrained weights; "
                "use mode scratch or another model"
            )
        if self.mode == "scratch" and self.weights is not None:
            raise ValueError("weights are given, but mode scratch starts without any; drop one")
        return self

    @classmethod
    def from_namespace(cls, namespace: Mapping[str, Any]) -> "RunSettings":
        """Return the settings that a notebook's ``parameters`` cell defined in ``globals()``."""
        return cls(**{key: namespace[key] for key in cls.model_fields if key in namespace})

    @property
    def pretrained(self) -> bool:
        """Whether the run starts from a pretrained network."""
        return self.mode != "scratch"


class Experiment(BaseModel):
    """One params file: a title, seeds, and the runs it asks for."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    title: str
    description: str = ""
    author: str = ""
    runs_dir: str = "runs"
    path: str = ""
    runs: list[RunSettings]

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Experiment":
        """Read a params file.

        Raises SettingsError, in one line, for anything wrong with it.
        """
        return _experiment(Path(path), read_yaml(Path(path)))

    @property
    def models(self) -> list[list[RunSettings]]:
        """The runs, grouped by entry of ``models``: one inner list holds its seeds."""
        groups: dict[str, list[RunSettings]] = {}
        for run in self.runs:
            groups.setdefault(run.model_copy(update={"seed": 0}).model_dump_json(), []).append(run)
        return list(groups.values())


EXPERIMENT_KEYS = ("title", "description", "author", "runs_dir", "seeds", "models")


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader without aliases (YAML bombs) and without duplicate keys."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.events.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(
                problem="aliases (*name) are not allowed; write the value out",
                problem_mark=event.start_mark,
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(
                    problem="a key must be plain text", problem_mark=key_node.start_mark
                )
            if key_node.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"duplicate key {one_line(key_node.value, 60)!r}",
                    problem_mark=key_node.start_mark,
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


# YAML 1.1 reads 3e-4 as text; people write it, so read it as the number they meant.
_StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file, read safely.

    Raises SettingsError when it is missing, too large, not UTF-8 or not a mapping.
    """
    try:
        about = path.stat()
        if not stat.S_ISREG(about.st_mode) and not path.is_dir():
            raise SettingsError(f"{path}: is a device or a pipe; give the path of a params file.")
        if about.st_size > MAX_PARAMS_BYTES:
            raise SettingsError(
                f"{path}: larger than {MAX_PARAMS_BYTES:,} bytes, which no params file needs to be."
            )
        text = path.read_text(encoding="utf-8")
        content = yaml.load(text, Loader=_StrictLoader)
    except FileNotFoundError:
        nearby = sorted(str(p) for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        hint = did_you_mean(str(path), nearby) or " Give the path of a params file, as params/demo.yaml."
        raise SettingsError(f"{path}: no such file.{hint}") from None
    except IsADirectoryError:
        raise SettingsError(f"{path}: is a folder; give the path of a params file in it.") from None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8.") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: {_yaml_problem(error)}") from None
    except RecursionError:
        raise SettingsError(f"{path}: is nested too deeply.") from None
    except ValueError:  # Python reads no whole number of more than 4,300 digits, nor the 31st of February
        raise SettingsError(f"{path}: holds a number or a date that cannot be.") from None
    if content is None:
        raise SettingsError(f"{path}: is empty; it needs at least a list of models.")
    if not isinstance(content, dict):
        raise SettingsError(f"{path}: holds {_kind(content)}; it must be keys and values.")
    return content


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = one_line(getattr(error, "problem", None) or error, 200)
    if "\\t" in problem or "'\t'" in problem:
        problem = "a tab is used for indentation; use spaces"
    if problem == "but found another document":
        problem = "a second document begins; keep one"
    if tag := re.fullmatch("could not determine a constructor for the tag (.*)", problem):
        problem = f"the tag {tag.group(1)} is not allowed; write a plain value"
    where = f"line {mark.line + 1}: " if mark else ""
    return f"{where}{problem}."


def _experiment(path: Path, content: dict[str, Any]) -> Experiment:
    known = (*EXPERIMENT_KEYS, *RunSettings.model_fields)
    _refuse_unknown_keys(path, "", content, known)
    defaults = {key: value for key, value in content.items() if key in RunSettings.model_fields}
    runs = list(_runs(path, content, defaults))
    _refuse_twice(path, runs)
    return Experiment(
        name=path.stem,
        title=_text(path, content, "title", f"Custom CNN or transfer learning on {runs[0].dataset}?"),
        description=_text(path, content, "description", ""),
        author=_text(path, content, "author", ""),
        runs_dir=_folder(path, content, "runs_dir", "runs"),
        path=str(path),
        runs=runs,
    )


def _runs(path: Path, content: dict[str, Any], defaults: dict[str, Any]) -> Iterator[RunSettings]:
    entries = content.get("models")
    if not isinstance(entries, list) or not entries:
        found = "is missing" if "models" not in content else f"is {_shown(entries)}"
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
                f"{path}: {where}is {_kind(entry)}; it must be keys and values, as {{model: custom_cnn}}."
            )
        _refuse_unknown_keys(path, where, entry, tuple(RunSettings.model_fields))
        own_seeds = [entry["seed"]] if "seed" in entry else seeds
        for seed in own_seeds:
            yield _settings(path, where, {**defaults, **entry, "seed": seed}, entry)


def _seeds(path: Path, content: dict[str, Any], defaults: dict[str, Any]) -> list[Any]:
    if "seeds" not in content:
        return [defaults.get("seed", 0)]
    seeds = content["seeds"]
    usable = isinstance(seeds, list) and seeds and all(type(s) is int and s >= 0 for s in seeds)
    if not usable or len(set(seeds)) < len(seeds):
        raise SettingsError(
            f"{path}: seeds is {_shown(seeds)}; it must be a list of different whole numbers, as [0, 1, 2]."
        )
    if "seed" in defaults:
        raise SettingsError(f"{path}: both seed and seeds are given; keep one.")
    return seeds


def _settings(path: Path, where: str, values: dict[str, Any], own: dict[str, Any]) -> RunSettings:
    try:
        return RunSettings(**values)
    except ValidationError as error:
        details = error.errors()[0]
        key = str(details["loc"][0]) if details["loc"] else ""
        place = where if not key or key in own else ""
        raise SettingsError(f"{path}: {place}{_explain(details)}") from None


def _explain(details: ErrorDetails) -> str:
    """Return "key is value; it must be ..." for one pydantic error."""
    key = "".join(f"[{part}]" if isinstance(part, int) else part for part in details["loc"])
    if details["type"] == "value_error":
        message = str(details["ctx"]["error"])
        return f"{key} {message}." if key else f"{message}."
    return f"{key} is {_shown(details['input'])}; it must be {_allowed(details)}."


def _allowed(details: ErrorDetails) -> str:
    kind, context = details["type"], details.get("ctx", {})
    plain = {
        "int_type": "a whole number",
        "int_parsing": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "float_parsing": "a number",
        "finite_number": "a finite number",
        "bool_type": "true or false",
        "bool_parsing": "true or false",
        "string_type": "text (put it in quotes)",
        "string_too_short": "text that is not empty",
        "list_type": "a list",
        "string_too_long": f"text of at most {context.get('max_length')} characters",
        "too_short": "a list that is not empty",
        "too_long": f"a list of at most {context.get('max_length')}",
        "literal_error": f"one of {context.get('expected', '')}".replace("' or '", "', '"),
    }
    bounds = {
        "greater_than": ("gt", "more than"),
        "greater_than_equal": ("ge", "at least"),
        "less_than": ("lt", "less than"),
        "less_than_equal": ("le", "at most"),
    }
    if kind in bounds:
        key, words = bounds[kind]
        return f"{words} {context[key]:.12g}"
    return plain.get(kind, one_line(details["msg"], 120))


def _refuse_unknown_keys(path: Path, where: str, content: dict[Any, Any], known: tuple[str, ...]) -> None:
    for key in content:
        if key not in known:
            hint = did_you_mean(str(key), known) or f" Known keys: {', '.join(known)}."
            raise SettingsError(f"{path}: {where}unknown key {_shown(key)}.{hint}")


def _refuse_twice(path: Path, runs: list[RunSettings]) -> None:
    seen: set[str] = set()
    for run in runs:
        text = run.model_dump_json()
        if text in seen:
            raise SettingsError(
                f"{path}: models asks for {run.model} ({run.mode}, seed {run.seed}) twice with the same "
                "settings; drop one or change a setting."
            )
        seen.add(text)


def _text(path: Path, content: dict[str, Any], key: str, default: str) -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or len(value) > 2000:
        raise SettingsError(f"{path}: {key} is {_shown(value)}; it must be text of at most 2,000 characters.")
    if any("\ud800" <= c <= "\udfff" for c in value):  # halves of a character, which no file can hold
        raise SettingsError(f"{path}: {key} is {_shown(value)}; it must be Unicode text.")
    return value


def _folder(path: Path, content: dict[str, Any], key: str, default: str) -> str:
    value = _text(path, content, key, default)
    if not value or not value.isprintable():
        raise SettingsError(f"{path}: {key} is {_shown(value)}; it must be the path of a folder.")
    return value


def _shown(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "not a number" if math.isnan(value) else "infinite"
    return one_line(repr(value), 60)


def _kind(value: object) -> str:
    names = {list: "a list", str: "a text", int: "a number", float: "a number", bool: "true or false"}
    return names.get(type(value), "empty" if value is None else f"a {type(value).__name__}")
