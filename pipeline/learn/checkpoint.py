"""Checkpoints: what a killed run needs to go on from its last epoch, bit for bit."""

import hashlib
import io
from pathlib import Path
from typing import Any

import torch

from pipeline.errors import one_line
from pipeline.experiment import RunSettings
from pipeline.files import digest, replacing
from pipeline.source import code_hash

VERSION = 2
DIGEST_BYTES = hashlib.sha256().digest_size


def key(settings: RunSettings, fingerprint: str, precision: str) -> str:
    """Return what a checkpoint must have been written for to be of use to a run."""
    return digest([VERSION, settings.identity(), fingerprint, precision, code_hash()])


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
