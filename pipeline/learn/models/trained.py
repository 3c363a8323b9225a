"""A trained network in one file: its weights, and how an image must be prepared for them.

``model.safetensors`` holds the weights; its metadata holds the preprocessing, as what it took from the
data stands nowhere else.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model

from pipeline.errors import RecordError, one_line
from pipeline.experiment import RunSettings
from pipeline.learn.models import zoo
from pipeline.learn.preprocessing import Preprocessing

if TYPE_CHECKING:
    from torch import nn

    from pipeline.learn.data.images import ImageData

KEY = "headstart"


@dataclass(frozen=True)
class Prepared:
    """What was done to the images: the side they were stored at, in pixels, and the preprocessing then."""

    stored_side: int
    preprocessing: Preprocessing


def save(network: "nn.Module", images: "ImageData", path: Path) -> None:
    """Write a network's weights, and how its images were prepared."""
    prepared = Prepared(images.train.pixels.shape[1], images.preprocessing)
    save_model(network, str(path), metadata={"format": "pt", KEY: json.dumps(asdict(prepared))})


def load(path: Path, settings: RunSettings, classes: list[str]) -> "tuple[nn.Module, Prepared]":
    """Return the trained network in a file, ready to answer, and how its images must be prepared.

    Raises RecordError for a file that is missing, damaged, of another network, or without preprocessing.
    """
    again = f"Delete {path.parent} to have it run again."
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
        if KEY not in metadata:
            raise RecordError(f"{path}: does not say how to prepare images, as older runs do not. {again}")
        prepared = _prepared(json.loads(metadata[KEY]))
        network = zoo.build(settings, classes, prepared.preprocessing, load_weights=False)
        load_model(network, path)
    except FileNotFoundError:
        raise RecordError(f"{path}: missing. {again}") from None
    except (OSError, SafetensorError, ValueError, TypeError, KeyError, RuntimeError) as error:
        raise RecordError(f"{path}: damaged ({one_line(error, 120)}). {again}") from None
    return network.eval(), prepared


def _prepared(content: dict[str, Any]) -> Prepared:
    values = dict(content["preprocessing"])
    values |= {name: tuple(values[name]) for name in ("mean", "std")}
    return Prepared(int(content["stored_side"]), Preprocessing(**values))
