"""``timm/<name>``: every network of timm, with the weights it publishes on the Hugging Face hub."""

import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError, one_line
from pipeline.experiment import RunSettings
from pipeline.files import digest
from pipeline.learn import download
from pipeline.learn.download import offline
from pipeline.learn.models import weights
from pipeline.learn.models.weights import IMAGENET, IMAGENET_MEAN, IMAGENET_STD, Preprocessing, Published

if TYPE_CHECKING:
    from torch import Tensor, nn

PREFIX = "timm/"
HUB_FILES = ("model.safetensors", "pytorch_model.bin")
WITHOUT_WEIGHTS: dict[str, Any] = {
    "tag": None,
    "size": 224,
    "mean": IMAGENET_MEAN,
    "std": IMAGENET_STD,
    "interpolation": "bicubic",
    "fixed": False,
    "hub": None,
    "file": None,
    "url": None,
}


def names() -> Iterable[str]:
    return [PREFIX + name for name in catalogue()]


@cache
def catalogue() -> weights.Listing:
    """Return architecture, or architecture.tag, → what is known of its weights."""
    return weights.listed("timm", _list_models)


def _list_models() -> weights.Listing:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    import timm

    everything = [*timm.list_models(), *timm.list_models(pretrained=True)]
    return {name: _entry_of(timm.get_pretrained_cfg(name)) for name in everything}


def _entry_of(config: Any) -> dict[str, Any]:
    if config is None:
        return WITHOUT_WEIGHTS
    return {
        "tag": config.tag if config.has_weights else None,
        "size": max(config.input_size[1:]),
        "mean": config.mean,
        "std": config.std,
        "interpolation": "bilinear" if config.interpolation == "bilinear" else "bicubic",
        "fixed": config.fixed_input_size,
        "hub": config.hf_hub_id,
        "file": config.hf_hub_filename,
        "url": config.url,
    }


def _entry(settings: RunSettings) -> dict[str, Any]:
    return catalogue()[settings.model.removeprefix(PREFIX)]


def check(settings: RunSettings) -> None:
    if not settings.pretrained or weights.is_file_name(settings.weights):
        return
    entry = _entry(settings)
    if settings.weights is not None:
        raise ModelError(
            f"{settings.model}: weights is {settings.weights!r}; timm's are named with the model, "
            "as timm/resnet18.a1_in1k, or set weights: path/to/file."
        )
    if entry["tag"] is None:
        raise ModelError(
            f"{settings.model}: timm publishes no weights for it; use mode scratch, another model, "
            "or weights: path/to/file."
        )
    if entry["hub"] is None:
        download.require_reachable(entry["url"])
    elif offline() and _cached_hub_file(entry) is None:
        raise _unreachable(settings, "offline, nothing is fetched")


def published(settings: RunSettings) -> Published:
    entry = _entry(settings)
    name = f"{settings.model.partition('.')[0]}.{entry['tag']}" if entry["tag"] else settings.model
    mean, std = tuple(entry["mean"]), tuple(entry["std"])
    return Published(
        name,
        # The hub's own hashes are known only once the file is here; its name is known always.
        digest([entry["hub"], entry["file"], entry["url"]]),
        Preprocessing(entry["size"], mean, std, entry["interpolation"], name),
        IMAGENET if str(entry["tag"]).endswith("in1k") else f"the images that the tag {entry['tag']} names",
    )


def state(settings: RunSettings) -> "dict[str, Tensor]":
    entry = _entry(settings)
    if entry["hub"] is None:
        return weights.read_state(download.fetch_weights(entry["url"]))
    return weights.read_state(_cached_hub_file(entry) or _download(settings, entry))


def _hub_files(entry: dict[str, Any]) -> tuple[str, ...]:
    return (entry["file"],) if entry["file"] else HUB_FILES


def _cached_hub_file(entry: dict[str, Any]) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = (try_to_load_from_cache(entry["hub"], name) for name in _hub_files(entry))
    return next((Path(path) for path in found if isinstance(path, str)), None)


def _download(settings: RunSettings, entry: dict[str, Any]) -> Path:
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from huggingface_hub import hf_hub_download

    if offline():
        raise _unreachable(settings, "offline, nothing is fetched")
    problem = ""
    for name in _hub_files(entry):
        try:
            return Path(hf_hub_download(entry["hub"], name))
        except Exception as error:  # noqa: BLE001 (each transport fails in its own way)
            problem = one_line(error, 160)
    raise _unreachable(settings, problem)


def _unreachable(settings: RunSettings, problem: str) -> ModelError:
    from huggingface_hub.constants import HF_HUB_CACHE

    entry = _entry(settings)
    return ModelError(
        f"{settings.model}: its weights {' or '.join(_hub_files(entry))} of {entry['hub']} are not in "
        f"{HF_HUB_CACHE} and could not be downloaded ({problem}). Set weights: path/to/file."
    )


def create(
    settings: RunSettings, image_size: int, content: "dict[str, Tensor] | None"
) -> "tuple[nn.Module, int]":
    import timm

    name, entry = settings.model.removeprefix(PREFIX), _entry(settings)
    other_size = entry["fixed"] and image_size != entry["size"]
    options: dict[str, Any] = {"img_size": image_size} if other_size else {}
    if content is not None:
        options |= _pretrained_options(settings, timm.get_pretrained_cfg(name), content)
    try:
        network: Any = timm.create_model(name, **options)
        network.reset_classifier(0)
    except (RuntimeError, TypeError, AssertionError, KeyError, ValueError) as error:
        raise ModelError(f"{weights.source(settings)}: {one_line(error, 200)}.") from None
    return network, _feature_count(settings, network, image_size)


def _pretrained_options(settings: RunSettings, config: Any, content: "dict[str, Tensor]") -> dict[str, Any]:
    """Return what makes timm load these tensors, strictly.

    When the classes differ from its own timm loads what fits and leaves the rest random, in silence.
    So the network first gets the file's own number of classes.
    """
    overlay: dict[str, Any] = {"state_dict": dict(content)}
    if not weights.is_file_name(settings.weights):
        return {"pretrained": True, "pretrained_cfg_overlay": overlay}
    names = [config.classifier] if isinstance(config.classifier, str) else list(config.classifier or ())
    sizes = [len(content[f"{name}.weight"]) for name in names if f"{name}.weight" in content]
    classes = sizes[0] if sizes else 0
    overlay |= {"num_classes": classes, "label_offset": 0}
    return {"pretrained": True, "pretrained_cfg_overlay": overlay, "num_classes": classes}


def _feature_count(settings: RunSettings, network: "nn.Module", image_size: int) -> int:
    from pipeline.learn.models.summary import trial_output

    try:
        shape = trial_output(network, image_size).shape
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ModelError(
            f"{settings.model}: image_size is {image_size}, which it cannot see ({one_line(error, 120)})."
        ) from None
    if len(shape) != 2:
        raise ModelError(f"{settings.model}: gives features of shape {tuple(shape)}; use a classifier.")
    return int(shape[1])
