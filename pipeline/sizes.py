"""``train_sizes`` of a params file: how many training images each model and seed runs with."""

from collections.abc import Sequence
from typing import Literal

from pipeline.errors import SettingsError
from pipeline.yaml_errors import shown

Size = int | Literal["all"]

# With ``budget: steps`` an epoch goes over a small subset again and again until it took as many steps as
# over all images, but no more often than this: more passes only wear down images known by heart.
MOST_PASSES = 100


def checked(sizes: Sequence[Size], place: str = "train_sizes") -> tuple[Size, ...]:
    """Return ``sizes`` if they are positive and rising, with ``all`` at most once and last.

    Raises SettingsError otherwise; needs no data.
    """
    if not isinstance(sizes, list | tuple) or not sizes:
        found = "is empty" if isinstance(sizes, list | tuple) else f"is {shown(sizes)}"
        raise SettingsError(f"{place} {found}; name sizes, as [100, 300, 1000, all], or leave it out.")
    for before, size in zip((0, *sizes), sizes, strict=False):
        whole = size == "all" or (isinstance(size, int) and not isinstance(size, bool) and size > 0)
        if not whole:
            raise SettingsError(f"{place} holds {shown(size)}; each must be a positive integer, or all.")
        if before == "all" or (size != "all" and size <= before):
            raise SettingsError(f"{place}: {size} follows {before}; sizes must rise, each once, all last.")
    return tuple(sizes)
