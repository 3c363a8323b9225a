"""What training leaves: after epochs all that a killed run needs to go on, at its end the network."""

import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_model, save_model

from pipeline.errors import RecordError, one_line
from pipeline.experiment import RunSettings
from pipeline.files import digest, replacing
from pipeline.learn.models import zoo
from pipeline.learn.models.weights import Preprocessing
from pipeline.source import code_hash

if TYPE_CHECKING:
    from torch import nn

    from pipeline.learn.data.images import ImageData

VERSION = 2
DIGEST_BYTES = hashlib.sha256().digest_size
SELDOM = 20  # times as long as a checkpoint took to write, until the next: at most a twentieth of the time


def key(settings: RunSettings, fingerprint: str, precision: str) -> str:
    """Return what a checkpoint must have been written for to be of use to a run."""
    return digest([VERSION, settings.identity(), fingerprint, precision, code_hash()])


class Keeper:
    """Writes a run's checkpoints: after the first epoch, and then after those that end late enough.

    Small networks have epochs that are over before one could be written: what is lost of a killed run is
    at most SELDOM times as long as that takes, or one epoch.
    """

    def __init__(self, path: Path, key: str):
        self.path, self.key = path, key
        self.due = 0.0  # by the clock that only rises

    def keep(self, state: Callable[[], dict[str, Any]]) -> None:
        """Write the state after an epoch, unless the last one is too near."""
        started = time.monotonic()
        if started < self.due:
            return
        write(self.path, self.key, state())
        self.due = time.monotonic() + SELDOM * (time.monotonic() - started)


def write(path: Path, key: str, state: dict[str, Any]) -> None:
    """Write a checkpoint behind its SHA-256; a reader finds the old one or the whole new one."""
    content = io.BytesIO()
    torch.save({"key": key, **state}, content)
    with replacing(path, "wb") as file:
        file.write(hashlib.sha256(content.getbuffer()).digest())
        file.write(content.getbuffer())


def read(path: Path, key: str, device: torch.device) -> dict[str, Any] | None:
    """Return a checkpoint's content, or None when there is none for this run.

    One that is damaged or belongs to other settings is named and ignored. Loads no code.
    """
    if not path.exists():
        return None
    try:
        state = _read_checked(path, device)
        found = state.pop("key")
    except Exception as error:  # noqa: BLE001 (a damaged file fails in any way)
        print(f"{path}: the checkpoint is damaged ({one_line(error, 80)}); training starts afresh.")
        return None
    if found != key:
        print(f"{path}: the checkpoint is of other settings, data or code; training starts afresh.")
        return None
    return state


def _read_checked(path: Path, device: torch.device) -> dict[str, Any]:
    """PyTorch does not look at the checksums in its files, so this one is checked here."""
    content = memoryview(path.read_bytes())
    if hashlib.sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
        raise ValueError("its checksum is wrong")
    state: dict[str, Any] = torch.load(
        io.BytesIO(content[DIGEST_BYTES:]), map_location=device, weights_only=True
    )
    return state


KEY = "headstart"


@dataclass(frozen=True)
class Prepared:
    """What was done to the images: the side they were stored at, in pixels, and the preprocessing then."""

    stored_side: int
    preprocessing: Preprocessing


def write_network(network: "nn.Module", images: "ImageData", path: Path) -> None:
    """Write a network's weights, and how its images were prepared."""
    prepared = Prepared(images.train.pixels.shape[1], images.preprocessing)
    save_model(network, str(path), metadata={"format": "pt", KEY: json.dumps(asdict(prepared))})


def read_network(path: Path, settings: RunSettings, classes: list[str]) -> "tuple[nn.Module, Prepared]":
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
