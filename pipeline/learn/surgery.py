"""Taking published networks apart: finding and removing the layers that are made for ImageNet's classes."""

from torch import nn

AUXILIARY = ("AuxLogits", "aux1", "aux2")  # Inception v3, GoogLeNet
AUXILIARY_LAYERS = ("AuxLogits.fc", "aux1.fc2", "aux2.fc2")


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
