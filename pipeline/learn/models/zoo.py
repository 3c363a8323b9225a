"""Networks by name: our own CNN, torchvision's, EfficientNet-Lite, timm's; from scratch or pretrained.

Nothing slow is imported before it is needed: the program checks names and weights before any work.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import ModelError, did_you_mean
from pipeline.experiment import RunSettings, own_network
from pipeline.learn.models import lite, own, timm, torchvision, weights
from pipeline.learn.models.weights import Preprocessing, Published
from pipeline.record import ModelInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

CUSTOM = "custom_cnn"
BATCHNORM_MOMENTUM = 0.1  # PyTorch's own


class Family(Protocol):
    """Where networks and their weights come from: a module with these functions."""

    def names(self) -> Iterable[str]:
        """Return the names of its networks, as ``settings.model`` gives them."""

    def check(self, settings: RunSettings) -> None:
        """Raise ModelError when the weights or the image size cannot be used."""

    def published(self, settings: RunSettings) -> Published:
        """Return what is known of the weights that the settings ask for."""

    def state(self, settings: RunSettings) -> "dict[str, Tensor]":
        """Return the published weights; fetches them where they are not at hand."""

    def create(
        self, settings: RunSettings, image_size: int, content: "dict[str, Tensor] | None"
    ) -> "tuple[nn.Module, int]":
        """Return the network without its classifier, and the number of its features.

        With ``content``, its weights; otherwise it is randomly initialised.
        """


def known_models() -> list[str]:
    """Return every name that ``settings.model`` may have."""
    return [CUSTOM, *lite.names(), *torchvision.names(), *timm.names()]


def check(settings: RunSettings) -> None:
    """Raise ModelError when the model, its weights or its image size cannot be used."""
    if settings.model == CUSTOM:
        return
    if own_network(settings.model):
        own.load(settings)
        return
    family = _family(settings.model)
    if weights.is_file_name(settings.weights):
        weights.check_file(Path(str(settings.weights)))
        family.check(settings)
        _check_fit(settings)
        return
    family.check(settings)


def _check_fit(settings: RunSettings) -> None:
    """Raise ModelError when a weights file is of another network, by its names and shapes."""
    if not settings.pretrained:
        return
    file = weights.require_file(Path(str(settings.weights))).resolve()
    fixed = settings.model_copy(update={"seed": 0})
    try:
        _check_content(fixed.model_dump_json(), file, file.stat().st_mtime_ns)
    except ModelError as error:
        raise ModelError(f"{error}{weights.passed_over(file)}") from None


@lru_cache(maxsize=64)
def _check_content(settings: str, file: Path, _modified: int) -> None:
    import torch

    asked = RunSettings.model_validate_json(settings)
    size = _published(asked).preprocessing.image_size
    content = {name: tensor.to("meta") for name, tensor in weights.read_state(file).items()}
    with torch.device("meta"):
        _family(asked.model).create(asked, asked.image_size or size or 224, content)


def _family(model: str) -> Family:
    """Return where a network comes from. Raises ModelError for a name that nobody knows."""
    families: tuple[Family, ...] = (lite, torchvision)
    if model.startswith(timm.PREFIX):
        families = (timm,)
    for family in families:
        if model in family.names():
            return family
    hint = did_you_mean(model, known_models(), 3)
    raise ModelError(
        f"unknown model {model!r}.{hint} Known: custom_cnn, efficientnet_lite0, every classification "
        "network of torchvision, timm/<name>, and a class of yours as nets/my_net.py:MyNet."
    )


def preprocessing(settings: RunSettings) -> Preprocessing:
    """Return the input that a network's weights expect; the same in every mode, for a fair comparison.

    For ``custom_cnn`` it comes from the data. ``settings.image_size`` goes before the weights'.
    """
    if settings.model == CUSTOM or own_network(settings.model):
        return Preprocessing(image_size=settings.image_size)
    published = _published(settings).preprocessing
    return replace(published, image_size=settings.image_size or published.image_size)


def weights_hash(settings: RunSettings) -> str | None:
    """Return a hash of the weights that a run starts from; None when it starts without any."""
    if not settings.pretrained:
        return None
    if weights.is_file_name(settings.weights):
        return weights.file_hash(weights.require_file(Path(str(settings.weights))))
    return None if own_network(settings.model) else _published(settings).hash


def build(
    settings: RunSettings, classes: list[str], preprocessing: Preprocessing, load_weights: bool = True
) -> "nn.Module":
    """Return the network that a run trains; its random weights depend on ``settings.seed`` alone.

    ``preprocessing`` is the data's resolved one. Without ``load_weights`` the network is the same but for
    its weights, which are random. Raises ModelError for weights that cannot be used.
    """
    import torch

    image_size = _known_size(preprocessing)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(settings.seed)
        if settings.model == CUSTOM:
            from pipeline.learn.models.custom_cnn import CustomCNN

            return CustomCNN(len(classes), settings.widths, settings.depth, settings.dropout, image_size)
        if own_network(settings.model):
            return own.build(settings, len(classes), image_size, load_weights)
        return _transfer_network(settings, len(classes), image_size, load_weights)


def _known_size(preprocessing: Preprocessing) -> int:
    if preprocessing.image_size is None:
        raise ModelError(
            "image_size is not known before the images are; pass images.preprocessing to build and describe."
        )
    return preprocessing.image_size


def _transfer_network(
    settings: RunSettings, classes: int, image_size: int, load_weights: bool
) -> "nn.Module":
    import torch

    from pipeline.learn.models.transfer import TransferNetwork

    family = _family(settings.model)
    content = None
    if settings.pretrained and load_weights:
        file = str(settings.weights) if weights.is_file_name(settings.weights) else None
        content = weights.read_state(Path(file)) if file else family.state(settings)
    backbone, features = family.create(settings, image_size, content)
    if not (settings.pretrained and settings.freeze_batchnorm):
        _follow_statistics(backbone)
    torch.default_generator.manual_seed(settings.seed)  # the head does not depend on the backbone's draws
    return TransferNetwork(backbone, features, classes, settings)


def _follow_statistics(backbone: "nn.Module") -> None:
    """Let BatchNorm's running statistics keep up with training that takes hundreds of steps.

    Networks made for hundreds of thousands of steps (EfficientNet-Lite, MobileNetV3) average over so
    many that after a short training from scratch they would still be evaluated with the initial ones.
    """
    from torch.nn.modules.batchnorm import _BatchNorm

    for module in backbone.modules():
        if isinstance(module, _BatchNorm) and module.momentum is not None:
            module.momentum = max(module.momentum, BATCHNORM_MOMENTUM)


def describe(network: "nn.Module", settings: RunSettings, preprocessing: Preprocessing) -> ModelInfo:
    """Return what a run's record says of its network."""
    from pipeline.learn.models import summary

    image_size = _known_size(preprocessing)
    macs, layers = summary.summarise(network, image_size)
    return ModelInfo(
        name=settings.model,
        mode=settings.mode,
        total_parameters=summary.count_parameters(network),
        trainable_parameters=_trainable_parameters(network, settings),
        macs=macs,
        input_size=image_size,
        weights_name=_weights_name(settings),
        weights_hash=weights_hash(settings),
        initialisation=_initialisation(settings),
        pretrained_size=_pretrained_size(settings),
        description=_description(settings, network.head),
        layers=layers,
        source=own.source(settings) if own_network(settings.model) else None,
    )


def _trainable_parameters(network: Any, settings: RunSettings) -> int:
    """Return how many parameters the run trains, whatever is frozen at this moment of it."""
    if settings.model == CUSTOM:  # its stem is computed, not trained
        return sum(p.numel() for p in network.parameters() if p.requires_grad)
    trained = network.head if settings.mode == "linear_probe" else network
    return sum(p.numel() for p in trained.parameters())


def _published(settings: RunSettings) -> Published:
    return _family(settings.model).published(settings)


def _weights_name(settings: RunSettings) -> str | None:
    if not settings.pretrained:
        return None
    if weights.is_file_name(settings.weights):
        return Path(str(settings.weights)).name
    return _published(settings).name


def _initialisation(settings: RunSettings) -> str:
    """Return in words what the weights were before the first step."""
    if settings.model == CUSTOM:
        return "random, stem computed from training images"
    return "pretrained, head random" if settings.pretrained else "random"


def _pretrained_size(settings: RunSettings) -> int | None:
    """Return the side of the images that published weights were trained on; own files do not tell theirs."""
    if not settings.pretrained or weights.is_file_name(settings.weights):
        return None
    return _published(settings).preprocessing.image_size


def _description(settings: RunSettings, head: Any) -> str:
    """Return one sentence on what is trained and where it started."""
    if settings.model == CUSTOM:
        widths = ", ".join(str(w) for w in settings.widths)
        return (
            f"custom_cnn, trained from scratch: {len(settings.widths)} stages of {widths} channels with "
            f"{settings.depth} convolutions each, and a linear layer"
        )
    if own_network(settings.model) and settings.mode == "scratch":
        file, _, name = settings.model.rpartition(":")
        return f"{name}, a network of {file}, trained from scratch"
    layer = f"a new linear layer of {head.in_features:,} × {head.out_features:,} weights"
    if settings.mode == "scratch":
        return f"{settings.model}, trained from scratch, with {layer}"
    if weights.is_file_name(settings.weights):
        origin = f"{settings.model}, pretrained weights from {Path(str(settings.weights)).name}"
    else:
        origin = f"{settings.model}, pretrained on {_published(settings).trained_on}"
    if settings.mode == "linear_probe":
        return f"{origin}; its backbone is frozen and {layer} is trained"
    return f"{origin}; {layer} is trained first, then all layers, the backbone at a lower learning rate"
