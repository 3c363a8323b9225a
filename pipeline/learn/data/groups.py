"""Images that belong together, as those of one patient or one burst: groups never cross the splits."""

import re
from dataclasses import replace

import numpy as np

from pipeline.errors import DataError
from pipeline.learn.data.contents import Contents, Part
from pipeline.record import METADATA

LEAST = 3  # groups: one each for train, val and test


def grouped(contents: Contents, group: str | None) -> Contents:
    """Return the same with the group of each image: a column of its table, or a pattern of file names.

    A regular expression names a group by what its first brackets match, or else by all that it matches.
    Raises DataError for one that is neither, that leaves an image without a group, or for groups that
    the parts of the data share.
    """
    if group is None:
        return contents
    parts = {
        name: replace(part, groups=_groups(contents, part, group)) for name, part in contents.parts.items()
    }
    _refuse_shared(contents.place, {name: set(part.groups) for name, part in parts.items()})
    found = len({one for part in parts.values() for one in part.groups})
    if found < LEAST:
        raise DataError(
            f"{contents.place}: group {group!r} makes {_plural(found)} of all images; {LEAST} are the least."
        )
    return replace(contents, parts=parts)


def _groups(contents: Contents, part: Part, group: str) -> list[str]:
    if part.metadata is not None and METADATA + group in part.metadata:
        found = [str(value).strip() for value in part.metadata[METADATA + group]]
        what = f"column {group!r}"
    else:
        pattern = _pattern(contents, part, group)
        matches = [pattern.search(name) for name in part.files]
        found = ["" if m is None else (m.group(1) or "" if pattern.groups else m.group(0)) for m in matches]
        what = f"pattern {group!r}"
    empty = [part.name(position) for position, value in enumerate(found) if not value]
    if empty:
        raise DataError(
            f"{contents.place}: {what} gives {len(empty):,} of {len(found):,} images no group, the first "
            f"{empty[0]}; every image needs one."
        )
    return found


def _pattern(contents: Contents, part: Part, group: str) -> re.Pattern[str]:
    if not part.files:
        raise DataError(
            f"{contents.place}: group is {group!r}, and these images have neither files nor a table."
        )
    if part.metadata is not None and group.isidentifier():
        columns = ", ".join(str(name).removeprefix(METADATA) for name in part.metadata)
        raise DataError(
            f"{contents.place}: the table has no column {group!r} to group by; beside file and label it has "
            f"{columns}."
        )
    try:
        return re.compile(group)
    except re.error as error:
        raise DataError(
            f"{contents.place}: group {group!r} is no column and no regular expression: {error}."
        ) from None


def _plural(groups: int) -> str:
    return "one group" if groups == 1 else f"{groups:,} groups"


def _refuse_shared(place: str, parts: dict[str, set[str]]) -> None:
    names = [name for name in ("train", "val", "test") if name in parts]
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            if shared := sorted(parts[one] & parts[other]):
                raise DataError(
                    f"{place}: {one} and {other} share {_plural(len(shared))}, the first {shared[0]!r}; "
                    "put a group's images into one part, or leave the split to Headstart."
                )


def choose_groups(
    targets: np.ndarray, groups: np.ndarray, fraction: float, seed: int, place: str, name: str
) -> np.ndarray:
    """Choose about a ``fraction`` of the images, whole groups, class by class: bool [n].

    One of the folds of scikit-learn's StratifiedGroupKFold, the first that leaves no class out on either
    side; of fewer and larger folds where there is none. Raises DataError where that does not help.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # seconds, which most studies do without

    every = set(np.unique(targets))
    many = min(len(np.unique(groups)), int(np.bincount(targets)[list(every)].min()))
    for folds in range(max(2, min(round(1 / fraction), many)), 1, -1) if many > 1 else ():
        by_group = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
        for kept, taken in by_group.split(targets, targets, groups):
            if set(targets[kept]) == every == set(targets[taken]):
                chosen = np.zeros(len(targets), dtype=bool)
                chosen[taken] = True
                return chosen
    fewest = min(len(set(groups[targets == k])) for k in every)
    raise DataError(
        f"{place}: no {name} can be set apart by whole groups with every class on both sides; the rarest "
        f"class is in {_plural(fewest)}. Add groups, or change {name}_fraction."
    )
