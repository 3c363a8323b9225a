"""What a model library lists, kept on disk: importing the library only to read its list takes seconds."""

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.records import digest, write_json

CACHE_DIR = Path("cache")
Listing = dict[str, dict[str, Any]]


def cached_listing(package: str, build: Callable[[], Listing]) -> Listing:
    """Return what ``build`` lists of a package; built once for each installed version."""
    path = CACHE_DIR / f"{package}-{importlib.metadata.version(package)}.json"
    listed = _read(path)
    if listed is None:
        listed = build()
        _write(path, listed)
    return listed


def _read(path: Path) -> Listing | None:
    """Return a kept listing, or None when there is none or it is damaged."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        listed: Listing = kept["models"]
        return listed if digest(listed) == kept["digest"] else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _write(path: Path, listed: Listing) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"digest": digest(listed), "models": listed})
    except OSError:
        pass  # without the file it only takes longer next time
