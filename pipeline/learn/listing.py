"""What a model library lists, kept on disk: importing the library only to read its list takes seconds."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.learn.kept import read_kept, write_kept

CACHE_DIR = Path("cache")
Listing = dict[str, dict[str, Any]]


def cached_listing(package: str, build: Callable[[], Listing]) -> Listing:
    """Return what ``build`` lists of a package; built once for each installed version."""
    path = CACHE_DIR / f"{package}-{importlib.metadata.version(package)}.json"
    listed: Listing | None = read_kept(path)
    if listed is None:
        listed = build()
        write_kept(path, listed)
    return listed
