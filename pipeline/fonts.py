"""Which fonts of this machine draw a text in a figure, and which characters none of them can draw."""

import logging
import unicodedata
from collections.abc import Container
from functools import cache, lru_cache
from itertools import groupby

from matplotlib.font_manager import findfont, fontManager, get_font

BASE = "DejaVu Sans"  # comes with Matplotlib
# Of a font that has no normal weight Matplotlib takes another, which is what is wanted.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)


def families(text: str) -> list[str]:
    """Return fonts that together draw ``text``, as far as any here does; the usual one comes first."""
    chosen, missing = [BASE], _foreign(text)
    while missing:
        family, drawn = max(_others(), key=lambda other: len(missing & other[1]), default=("", frozenset()))
        if not missing & drawn:
            break
        chosen.append(family)
        missing -= drawn
    return chosen


def undrawn(text: str) -> set[str]:
    """Return the characters of ``text`` that no font here has."""
    missing = _foreign(text)
    return missing.difference(*(drawn for _, drawn in _others())) if missing else missing


def spelled(text: str, lost: Container[str]) -> str:
    """Return ``text`` with its lost characters by name or number: [U+6B62 U+8840] 3."""
    runs = [(gone, list(run)) for gone, run in groupby(text, key=lambda character: character in lost)]
    return "".join(f"[{' '.join(map(named, run))}]" if gone else "".join(run) for gone, run in runs)


def named(character: str) -> str:
    """Return what can be written in a character's place: pictures have a name, others their number."""
    if unicodedata.category(character) == "So":
        return unicodedata.name(character, f"U+{ord(character):04X}").lower()
    return f"U+{ord(character):04X}"


def _foreign(text: str) -> set[str]:
    """Return what is to be seen of ``text`` and not in the usual font."""
    return {c for c in set(text) if ord(c) > 126 and ord(c) not in _usual() and not _unseen(c)}


def _unseen(character: str) -> bool:
    """Whether a character only changes its neighbours, or is a blank: joiners, marks of direction."""
    return unicodedata.category(character)[0] in "CZ" or "\ufe00" <= character <= "\ufe0f"


@lru_cache(maxsize=1)
def _usual() -> frozenset[int]:
    return frozenset(get_font(findfont(BASE)).get_charmap())


def _others() -> list[tuple[str, frozenset[str]]]:
    """Return this machine's other upright fonts and what each draws, in the order of their names."""
    names = {font.name for font in fontManager.ttflist if font.style == "normal"}
    return [(name, _drawn_by(name)) for name in sorted(names) if not name.startswith("DejaVu")]


@cache
def _drawn_by(family: str) -> frozenset[str]:
    try:
        return frozenset(map(chr, get_font(findfont(family)).get_charmap()))
    except (OSError, RuntimeError, ValueError):  # removed since Matplotlib listed it, or damaged
        return frozenset()
