"""Transfer: a published network without its classifier, which may be frozen, and a new head in its place."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn

from pipeline.experiment import RunSettings
from pipeline.learn.models.custom_cnn import Head

# Weight decay pulls towards zero; for these zero means nothing in particular.
WITHOUT_DECAY = ("bias", "class_token", "cls_token", "pos_embed", "pos_embedding")
AUXILIARY = ("AuxLogits", "aux1", "aux2")  # Inception v3, GoogLeNet
AUXILIARY_LAYERS = ("AuxLogits.fc", "aux1.fc2", "aux2.fc2")


class TransferNetwork(nn.Module):
    """Images float [B, 3, S, S] to logits [B, classes]: a published backbone and a new linear head.

    While the whole network trains, a backbone with auxiliary heads (Inception v3, GoogLeNet) makes
    it return ``(logits, auxiliary logits, ...)``.
    """

    def __init__(self, backbone: nn.Module, features: int, classes: int, settings: RunSettings):
        super().__init__()
        self.backbone = backbone
        self.head = Head(features, classes, settings.dropout)
        self.auxiliary = auxiliary_classifiers(backbone)
        for name in self.auxiliary:
            old: Any = backbone.get_submodule(name)
            replace_module(backbone, name, Head(old.in_features, classes))
        self.freeze_batchnorm = settings.mode == "fine_tune" and settings.freeze_batchnorm
        self.frozen = False
        if settings.mode == "linear_probe":
            self.freeze_backbone()

    def features(self, x: Tensor) -> Tensor:
        """Return what the head sees of the images: float [B, F]."""
        return _split(self.backbone(x))[0]

    def forward(self, x: Tensor) -> Any:
        features, auxiliary = _split(self.backbone(x))
        logits = self.head(features)
        return (logits, *auxiliary) if auxiliary else logits

    def freeze_backbone(self) -> None:
        """Keep the backbone as it is: no gradients, and no new BatchNorm statistics or dropout."""
        self._set_frozen(True)

    def unfreeze_backbone(self) -> None:
        """Train the backbone too."""
        self._set_frozen(False)

    def _set_frozen(self, frozen: bool) -> None:
        self.frozen = frozen
        self.backbone.requires_grad_(not frozen)
        self.train(self.training)

    def train(self, mode: bool = True) -> "TransferNetwork":
        """Switch to training, except for what is frozen."""
        super().train(mode)
        if self.frozen:
            self.backbone.eval()
        elif self.freeze_batchnorm:
            for module in self.backbone.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    def parameter_groups(self, settings: RunSettings) -> list[dict[str, Any]]:
        """Return the optimizer's groups: what is trained, with its learning rate and weight decay.

        Fine-tuning moves the backbone by ``backbone_learning_rate_factor``; new layers learn in full.
        """
        factor = settings.backbone_learning_rate_factor if settings.mode == "fine_tune" else 1.0
        new = ("head.", *(f"backbone.{name}." for name in self.auxiliary))
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        published = [(name, p) for name, p in trained if not name.startswith(new)]
        fresh = [(name, p) for name, p in trained if name.startswith(new)]
        rate = settings.learning_rate
        return [*decayed_apart(published, rate * factor, settings), *decayed_apart(fresh, rate, settings)]


class OwnNetwork(nn.Module):
    """A network of the user's own, as it is: images float [B, 3, S, S] to logits [B, classes]."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.backbone = network

    def forward(self, x: Tensor) -> Any:
        return self.backbone(x)

    @property
    def head(self) -> nn.Module:
        """Its last linear layer, as far as it has one."""
        found = getattr(self.backbone, "head", None)
        if isinstance(found, nn.Module):
            return found
        linear = [module for module in self.backbone.modules() if isinstance(module, nn.Linear)]
        return linear[-1] if linear else self.backbone

    def parameter_groups(self, settings: RunSettings) -> list[dict[str, Any]]:
        """Return the optimizer's groups: weights, which decay, and the rest."""
        trained = [(name, p) for name, p in self.named_parameters() if p.requires_grad]
        return list(decayed_apart(trained, settings.learning_rate, settings))


def decayed_apart(
    named: list[tuple[str, nn.Parameter]], rate: float, settings: RunSettings
) -> Iterator[dict[str, Any]]:
    decayed = [p for name, p in named if _is_decayed(name, p)]
    others = [p for name, p in named if not _is_decayed(name, p)]
    if decayed:
        yield {"params": decayed, "lr": rate, "weight_decay": settings.weight_decay}
    if others:
        yield {"params": others, "lr": rate, "weight_decay": 0.0}


def _is_decayed(name: str, parameter: Tensor) -> bool:
    last = name.rpartition(".")[2]
    return parameter.ndim > 1 and not last.endswith(WITHOUT_DECAY) and "bias_table" not in last


def _split(output: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
    if isinstance(output, Tensor):
        return output, ()
    features, *auxiliary = output
    return features, tuple(a for a in auxiliary if a is not None)


def find_classifier(network: nn.Module) -> str:
    """Return the name of the layer that makes the logits.

    It is the last linear layer, or where there is none (SqueezeNet) the last convolution.
    """
    linear = [name for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    convolutions = [name for name, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    return (linear or convolutions)[-1]


def auxiliary_classifiers(network: nn.Module) -> list[str]:
    """Return the names of the layers that make logits half-way, to help training."""
    present = dict(network.named_modules())
    return [name for name in AUXILIARY_LAYERS if name in present]


def classifiers(network: nn.Module) -> list[str]:
    """Return the names of all layers that are made for the classes of the published weights."""
    return [find_classifier(network), *auxiliary_classifiers(network)]


def replace_module(network: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Put a module in the place of another and return the old one."""
    parent, _, last = name.rpartition(".")
    owner = network.get_submodule(parent)
    old = getattr(owner, last)
    setattr(owner, last, new)
    return old


def drop_auxiliary(network: nn.Module) -> None:
    """Remove the auxiliary heads of Inception v3 or GoogLeNet, where there are any."""
    for name in AUXILIARY:
        if getattr(network, name, None) is not None:
            setattr(network, name, None)
            setattr(network, "aux_logits", False)  # noqa: B010 (a module's attributes have no types)


def cut_classifier(network: nn.Module) -> tuple[nn.Module, int]:
    """Return the network without its classifier, and the number of features it then gives."""
    old = replace_module(network, find_classifier(network), nn.Identity())
    if isinstance(old, nn.Conv2d):
        return network, old.in_channels
    assert isinstance(old, nn.Linear)  # find_classifier finds nothing else
    return network, old.in_features
