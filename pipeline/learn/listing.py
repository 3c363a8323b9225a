"""What a model library lists, kept on disk: importing the library only to read its list takes seconds."""

# No result depends on this module: it is no part of a run's identity.

import importlib.metadata
from collections.abc import Callable
from typing import Any

from pipeline.files import CACHE, kept

Listing = dict[str, dict[str, Any]]


def cached_listing(package: str, build: Callable[[], Listing]) -> Listing:
    """Return what ``build`` lists of a package; built once for each installed version."""
    listed: Listing = kept(CACHE / f"{package}-{importlib.metadata.version(package)}.json", build)
    return listed
