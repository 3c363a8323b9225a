"""What is known of a network's published weights before anything is loaded."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pipeline.experiment import RunSettings
from pipeline.learn.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import Tensor, nn

IMAGENET = "ImageNet (1.28 M images, 1,000 classes)"
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Published:
    """Weights as their authors published them: their name, their hash and the input they expect."""

    name: str
    hash: str
    preprocessing: Preprocessing
    trained_on: str = IMAGENET


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
