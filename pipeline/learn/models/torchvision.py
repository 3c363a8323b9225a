"""Every classification network of torchvision, with the weights that torchvision publishes."""

from collections import OrderedDict
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError, did_you_mean
from pipeline.experiment import RunSettings
from pipeline.learn import download
from pipeline.learn.models import weights
from pipeline.learn.models.weights import IMAGENET, Preprocessing, Published

if TYPE_CHECKING:
    from torch import Tensor, nn

SWAG = f"3.6 billion hashtagged Instagram images (SWAG), then on {IMAGENET}"
SWAG_LINEAR = f"3.6 billion hashtagged Instagram images (SWAG), its last layer on {IMAGENET}"
# Here torchvision states the size of the weights, but the networks take any (a test tries all).
ANY_SIZE = ("efficientnet_v2", "swin")
# Below this side the auxiliary head of Inception v3 has no pixel left.
INCEPTION_AUXILIARY_SIZE = 299


def names() -> Iterable[str]:
    return catalogue()


@cache
def catalogue() -> weights.Listing:
    """Return name → ``{"default", "min_size", "weights": {name: {"url", "size", ...}}}``."""
    return weights.listed("torchvision", _list_models)


def _list_models() -> weights.Listing:
    from torchvision import models

    listed = {}
    for name in models.list_models(module=models):
        enum = models.get_model_weights(name)
        listed[name] = {
            "default": enum.DEFAULT.name,
            "min_size": 1 if name.startswith(ANY_SIZE) else min(enum.DEFAULT.meta["min_size"]),
            "weights": {member.name: _weights_entry(member) for member in enum},
        }
    return listed


def _weights_entry(member: Any) -> dict[str, Any]:
    transforms = member.transforms()
    return {
        "url": member.url,
        "size": transforms.crop_size[0],
        "mean": transforms.mean,
        "std": transforms.std,
        "interpolation": transforms.interpolation.value,
    }


def check(settings: RunSettings) -> None:
    if settings.pretrained and not weights.is_file_name(settings.weights):
        download.require_reachable(_entry(settings)[1]["url"])
    size = settings.image_size or _entry(settings)[1]["size"]
    problem = _size_problem(settings.model, size)
    if problem:
        raise ModelError(f"{settings.model}: image_size is {size}; it must be {problem}.")


def _size_problem(model: str, size: int) -> str:
    """Return what ``image_size`` must be, or "" when the network can see images of this size."""
    if model.startswith("maxvit"):
        return "a multiple of 224" if size % 224 else ""
    if model.startswith("vit_"):
        return f"a multiple of {_patch(model)}" if size % _patch(model) else ""
    smallest = int(catalogue()[model]["min_size"])
    return f"at least {smallest}" if size < smallest else ""


def published(settings: RunSettings) -> Published:
    name, entry = _entry(settings)
    return Published(
        name,
        download.url_hash(entry["url"]),
        Preprocessing(entry["size"], tuple(entry["mean"]), tuple(entry["std"]), entry["interpolation"], name),
        SWAG if "SWAG_E2E" in name else SWAG_LINEAR if "SWAG" in name else IMAGENET,
    )


def _entry(settings: RunSettings) -> tuple[str, dict[str, Any]]:
    """Return the name and the entry of the weights that the settings ask for, or of the best."""
    listed = catalogue()[settings.model]
    wanted = settings.weights or "DEFAULT"
    name = wanted.rpartition(".")[2]
    if name == "DEFAULT" or weights.is_file_name(settings.weights):
        name = listed["default"]
    if name not in listed["weights"]:
        known = ", ".join(listed["weights"])
        raise ModelError(
            f"{settings.model}: unknown weights {wanted!r}.{did_you_mean(name, listed['weights'])} "
            f"Known: {known}; or give a file."
        )
    return name, listed["weights"][name]


def state(settings: RunSettings) -> "dict[str, Tensor]":
    return weights.read_state(download.fetch_weights(_entry(settings)[1]["url"]))


def create(
    settings: RunSettings, image_size: int, content: "dict[str, Tensor] | None"
) -> "tuple[nn.Module, int]":
    from torchvision import models

    from pipeline.learn.models.transfer import cut_classifier, drop_auxiliary

    network = models.get_model(settings.model, weights=None, **_options(settings, image_size))
    if content is not None:
        weights.load_state(network, _at_size(settings, content, image_size), weights.source(settings))
    if not _has_use_of_auxiliary(settings, image_size):
        drop_auxiliary(network)
    return cut_classifier(network)


def _options(settings: RunSettings, image_size: int) -> dict[str, Any]:
    if settings.model in ("inception_v3", "googlenet"):
        # The published weights expect ImageNet's statistics to be turned into theirs.
        return {"transform_input": True, "aux_logits": True, "init_weights": not settings.pretrained}
    if settings.model.startswith("vit_"):
        return {"image_size": image_size}
    if settings.model.startswith("maxvit"):
        return {"input_size": (image_size, image_size)}
    return {}


def _has_use_of_auxiliary(settings: RunSettings, image_size: int) -> bool:
    if settings.model == "inception_v3":
        return settings.mode != "linear_probe" and image_size >= INCEPTION_AUXILIARY_SIZE
    return settings.mode == "scratch"  # GoogLeNet's published auxiliary heads were never trained


def _at_size(settings: RunSettings, content: "dict[str, Tensor]", image_size: int) -> "dict[str, Tensor]":
    """Fit weights to the image size: the positions of a vision transformer are interpolated."""
    positions = content.get("encoder.pos_embedding")
    if positions is None or not settings.model.startswith("vit_"):
        return content
    from torchvision.models.vision_transformer import interpolate_embeddings

    return dict(interpolate_embeddings(image_size, _patch(settings.model), OrderedDict(content)))


def _patch(model: str) -> int:
    """Return the side in pixels of a vision transformer's patches, which its name ends in."""
    return int(model.rpartition("_")[2])
