"""The images of a run: ``load`` gives them; ``sources`` answers questions about them without PyTorch."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.experiment import RunSettings
    from pipeline.learn.data.images import ImageData
    from pipeline.learn.device import Hardware
    from pipeline.learn.models.weights import Preprocessing


def load(
    settings: "RunSettings", preprocessing: "Preprocessing", hardware: "Hardware", memory: int | None = None
) -> "ImageData":
    """Find, split and decode a data set; see ``dataset.load``."""
    from pipeline.learn.data import dataset  # imports PyTorch, which takes a second

    return dataset.load(settings, preprocessing, hardware, memory)
