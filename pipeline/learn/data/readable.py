"""Files that are no images: found by a look at their first bytes before any work, or while decoding."""

from collections import Counter
from collections.abc import Mapping

from pipeline.errors import DataError, one_line
from pipeline.learn.data.contents import Contents
from pipeline.learn.data.decode import open_image, strict_pillow

SAMPLED = 500
LONGEST_REASON = 200
MOST_REASONS = 4


def unreadable_share(contents: Contents) -> float:
    """Return the share of some hundred files, spread over all, that Pillow does not open as images."""
    paths = [path for part in contents.parts.values() for path in part.paths]
    sample = paths[:: max(1, len(paths) // SAMPLED)]
    return sum(1 for path in sample if problem(path)) / max(1, len(sample))


def problem(path: str) -> str:
    """Return why a file does not open as an image, or an empty string."""
    try:
        with strict_pillow(), open_image(path):
            return ""
    except Exception as error:  # noqa: BLE001 (Pillow's readers fail in every possible way)
        return reason(error)


def reason(error: Exception) -> str:
    """Return what an error says of a file, in one line that is never empty."""
    return one_line(error, LONGEST_REASON) or type(error).__name__


def refuse_unreadable(contents: Contents, allowed: float) -> None:
    """Raise DataError when more than a share of the files does not open as images, saying why."""
    paths = {n: p for part in contents.parts.values() for n, p in zip(part.files, part.paths, strict=True)}
    found = {name: why for name, path in paths.items() if (why := problem(path))}
    refuse_too_many(contents.place, found, len(paths), allowed)


def refuse_too_many(place: str, reasons: Mapping[str, str], images: int, allowed: float) -> None:
    """Raise DataError when more than the allowed share of images is unreadable; ``reasons`` by file name."""
    if len(reasons) <= allowed * images:
        return
    counts = Counter(reasons.values()).most_common(MOST_REASONS)
    first = {why: next(name for name, other in reasons.items() if other == why) for why, _ in counts}
    alike = {why: f" ({count:,} files alike)" if count > 1 else "" for why, count in counts}
    said = "; ".join(f"{name}: {why}{alike[why]}" for why, name in first.items())
    raise DataError(
        f"{place}: {len(reasons):,} of {images:,} images cannot be read ({len(reasons) / images:.1%}), and "
        f"max_unreadable allows {allowed:.1%}. {said}. Mend or remove them, or raise max_unreadable."
    )
