"""What a model library lists, kept on disk: importing the library only to read its list takes seconds."""

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.records import write_json

CACHE_DIR = Path("cache")
Listing = dict[str, dict[str, Any]]


def cached_listing(package: str, build: Callable[[], Listing]) -> Listing:
    """Return what ``build`` lists of a package; built once for each installed version."""
    path = CACHE_DIR / f"{package}-{importlib.metadata.version(package)}.json"
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        listed = build()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, listed)
    except OSError:
        pass  # without the file it only takes longer next time
    return listed
