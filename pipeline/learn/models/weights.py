"""Weights files: read without running any code in them, and put into a network or refused by name."""

import hashlib
import importlib.metadata
import pickle
import re
import warnings
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pipeline.errors import ModelError, one_line
from pipeline.experiment import RunSettings
from pipeline.files import CACHE, kept
from pipeline.learn.data.unreadable import not_fetched

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET = "ImageNet (1.28 M images, 1,000 classes)"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DAMAGED = "damaged, or no PyTorch weights file; fetch it again."
SUFFIXES = (".pth", ".pt", ".bin", ".safetensors", ".ckpt", ".pth.tar", ".pt.tar")
# Containers and prefixes that training scripts commonly put around a state dict.
WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "model_ema", "state_dict_ema", "ema_state_dict"),
    *("net", "network", "net_state_dict", "model_state", "weights", "params_ema", "params", "teacher"),
)
PREFIXES = (
    *("module.", "_orig_mod.", "backbone.", "model.", "net.", "network.", "encoder.", "_model."),
    *(
        "encoder_q.",
        "base_encoder.",
        "online_encoder.",
        "0.model.",
    ),  # MoCo, MoCo v3, BYOL; fastai around timm
)
# What stands beside a network in a training module, or is a head, which is made anew anyway.
BESIDE = (
    *("head.", "fc.", "classifier.", "criterion.", "loss", "metric", "train_", "val_", "valid_", "test_"),
    *("encoder_k.", "momentum_encoder.", "target_encoder.", "queue", "predictor.", "projector.", "1."),
)
# What training scripts keep beside tensors, as their arguments: an object that does nothing takes its place.
HARMLESS = (
    *("argparse.Namespace", "types.SimpleNamespace", "pathlib.", "numpy.", "datetime.", "omegaconf."),
    *("yacs.config.", "easydict.", "addict.", "ml_collections.", "lightning", "pytorch_lightning."),
)
MOST_OBJECTS = 100
NUMBERED = re.compile(r"[01]\.\d+\.")  # body or head, and the place in it


@dataclass(frozen=True)
class Preprocessing:
    """Side in pixels, per-channel mean and standard deviation (of values in 0..1), interpolation.

    None means "from the data": the images' own size, the statistics of the training images.
    """

    image_size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    interpolation: Literal["bilinear", "bicubic"] = "bilinear"
    weights_name: str | None = None


@dataclass(frozen=True)
class Published:
    """Weights as their authors published them: their name, their hash and the input they expect."""

    name: str
    hash: str
    preprocessing: Preprocessing
    trained_on: str = IMAGENET


Listing = dict[str, dict[str, Any]]  # what a library says of each of its networks


def listed(package: str, build: Callable[[], Listing]) -> Listing:
    """Return what ``build`` lists of a package, kept on disk: importing it only for that takes seconds."""
    found: Listing = kept(CACHE / f"{package}-{importlib.metadata.version(package)}.json", build)
    return found


def is_file_name(weights: str | None) -> bool:
    """Whether ``settings.weights`` means a file rather than the name of published weights."""
    if weights is None:
        return False
    return weights.endswith(SUFFIXES) or "/" in weights or _is_file(Path(weights))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name longer than the file system allows
        return False


def require_file(path: Path) -> Path:
    """Return the path of a weights file of the user's own.

    Raises ModelError when there is none, or when no known kind of file ends so.
    """
    if not _is_file(path):
        raise ModelError(f"weights {path}: no such file; give a file that ends in {', '.join(SUFFIXES)}.")
    if not path.name.endswith(SUFFIXES):
        raise ModelError(f"weights {path}: ends in {path.suffix!r}; it must be one of {', '.join(SUFFIXES)}.")
    return path


def check_file(path: Path) -> None:
    """Raise ModelError, before any work, when a file of the user's own holds no usable tensors."""
    stat = require_file(path).stat()
    _check_file(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=64)
def _check_file(path: Path, _modified: int, _size: int) -> None:
    read_state(path)


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file; asked again, only its time and size are looked at."""
    try:
        stat = path.stat()
        return _file_hash(path, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise ModelError(f"weights {path}: cannot be read ({error.strerror}).") from None


@lru_cache(maxsize=64)
def _file_hash(path: Path, _modified: int, _size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(path: Path) -> "dict[str, Tensor]":
    """Return the tensors in a weights file by name; nothing in the file is executed.

    Raises ModelError when the file is damaged, holds pickled code or no tensors.
    """
    content = _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickled(path)[0]
    state = _unwrapped(content)
    if not state:
        raise ModelError(f"weights {path}: holds no tensors by name; save it with model.state_dict().")
    return state


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError):
        raise ModelError(
            f"weights {path}: {_not_fetched(path) or 'damaged, or no safetensors file; fetch it again.'}"
        ) from None


class _StandIn:
    """Stands for an object beside the tensors of a file: it takes what belongs to that and does nothing."""

    def __new__(cls, *_: object) -> "_StandIn":
        return super().__new__(cls)

    def __init__(self, *_: object) -> None:
        pass

    def __setstate__(self, _: object) -> None:
        pass


def _read_pickled(path: Path) -> tuple[object, list[str]]:
    """Return what a file holds, and the names of the objects in it for which something else stands."""
    import torch

    found: list[str] = []
    while True:
        stand_ins: Any = [(_StandIn, name) for name in found]
        try:
            with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
                warnings.simplefilter("ignore")  # of unusual pickle protocols, which are refused anyway
                return torch.load(path, map_location="cpu", weights_only=True), found
        except pickle.UnpicklingError as error:
            name = _object_in(str(error))
            if not name.startswith(HARMLESS) or name in found or len(found) == MOST_OBJECTS:
                raise ModelError(f"weights {path}: {_pickle_problem(name) or _damage(path)}") from None
            found.append(name)
        except Exception:  # noqa: BLE001 (a damaged file fails in any way)
            raise ModelError(f"weights {path}: {_damage(path)}") from None


def passed_over(path: Path) -> str:
    """Return a sentence on the first object in a file that was not opened, or an empty string."""
    found = [] if path.suffix == ".safetensors" else _read_pickled(path)[1]
    return f" It also holds the pickled object {found[0]}, which was passed over." if found else ""


def _object_in(message: str) -> str:
    """Return the name of the object that PyTorch's message refuses, or an empty string."""
    code = re.search(r"(?:[Gg]lobal:?|GLOBAL|[Cc]lass\S*) +([\w.]+\.\w+)", message)
    return code.group(1) if code else ""


def _pickle_problem(name: str) -> str:
    if not name:
        return ""
    return (
        f"holds the pickled object {one_line(name, 80)}, which could run code, so it is not opened; "
        "save tensors alone, with torch.save(model.state_dict(), path) or as .safetensors."
    )


def _damage(path: Path) -> str:
    """Return what is wrong with a file that PyTorch cannot read, and what to do."""
    names: list[str] = []
    with suppress(Exception), zipfile.ZipFile(path) as archive:  # it is damaged, or no archive at all
        names = [Path(name).name for name in archive.namelist()]
    if "constants.pkl" in names:
        return "is a TorchScript program; save its tensors, with torch.save(model.state_dict(), path)."
    return _not_fetched(path) or DAMAGED


def _not_fetched(path: Path) -> str:
    """Return what lies in the place of a file that was never fetched, or an empty string."""
    kind, remedy = not_fetched(path)
    return f"{kind.replace('the image', 'the weights')}; {remedy}." if kind else ""


def _unwrapped(content: object) -> "dict[str, Tensor]":
    """Return the state dict inside what training scripts save, its names without wrappers' prefixes."""
    from torch import Tensor

    if not isinstance(content, Mapping):
        return {}
    for key in WRAPPERS:
        if isinstance(content.get(key), Mapping):
            return _unwrapped(content[key])
    state = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    while (prefix := next((p for p in PREFIXES if _all_behind(p, state)), None)) is not None:
        state = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    return state


def _all_behind(prefix: str, state: Mapping[str, object]) -> bool:
    behind = [key for key in state if key.startswith(prefix)]
    return bool(behind) and all(key.startswith((prefix, *BESIDE)) for key in state)


def source(settings: RunSettings) -> str:
    """Return how errors name the weights that the settings ask for."""
    return f"{settings.model}: weights {settings.weights}" if settings.weights else settings.model


def load_state(network: "nn.Module", state: "Mapping[str, Tensor]", source: str) -> None:
    """Copy tensors into a network; those of its classifiers may be missing or of another size.

    Raises ModelError with the first tensor that is missing, of another shape or too many.
    """
    from pipeline.learn.models.transfer import classifiers

    parts = tuple(f"{name}." for name in classifiers(network))
    wanted, state = network.state_dict(), _named_by_children(network, state)
    for name, tensor in wanted.items():
        if not name.startswith(parts) and not name.endswith("num_batches_tracked"):
            _require_fit(name, tensor, state, source)
    surplus = [name for name in state if name not in wanted and not name.startswith(parts)]
    if surplus:
        raise ModelError(f"{source}: tensor {one_line(surplus[0], 80)} is not of this network.")
    fitting = {n: t for n, t in state.items() if n in wanted and t.shape == wanted[n].shape}
    try:
        network.load_state_dict(fitting, strict=False)
    except RuntimeError as error:  # sparse, quantised or without content
        raise ModelError(f"{source}: cannot be copied into the network ({one_line(error, 160)}).") from None


def _named_by_children(network: "nn.Module", state: "Mapping[str, Tensor]") -> "Mapping[str, Tensor]":
    """Return tensors by the names of this network where they are numbered, as by fastai.

    It keeps a network as a sequence of body and head, so ``0.4.`` is what is fifth in the body.
    """
    if not all(map(NUMBERED.match, state)) or state.keys() & network.state_dict().keys():
        return state
    names = dict(enumerate(name for name, _ in network.named_children()))
    places = {key: key.split(".", 2) for key in state}
    return {
        f"{names.get(int(place), place)}.{rest}": state[key]
        for key, (part, place, rest) in places.items()
        if part == "0"
    }


def _require_fit(name: str, wanted: "Tensor", state: "Mapping[str, Tensor]", source: str) -> None:
    if name not in state:
        raise ModelError(f"{source}: tensor {name} is missing; these are not this network's weights.")
    if state[name].shape != wanted.shape:
        found, needed = tuple(state[name].shape), tuple(wanted.shape)
        raise ModelError(
            f"{source}: tensor {name} has shape {found}, this network's has {needed}; "
            "name the model that the weights are of."
        )
