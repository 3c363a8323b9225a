"""Words as people read them, and plain text made safe for Markdown."""

import re
from collections.abc import Sequence

from pipeline.report.words.numbers import NBSP

WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
# Pandoc takes a backslash before any ASCII punctuation for "as it stands". Some characters always need
# it; others only at the start (lists, quotes), doubled (dashes, dots) or in an address or an emoji.
_SPECIAL = re.compile(
    r"""[\\`*_{}\[\]<>|~^$@#&"']|^[-+:%=!(.]|(?<=[-.=:])[-.=:]|[-.=:](?=[-.=:])|:(?=[\w/+-])|(?<=www)\."""
)
_LIST = re.compile(r"^(\w+)([.)])")
_JOINERS = "\u200c\u200d"  # hold letters and emoji together in some scripts


def escape_markdown(text: str) -> str:
    """Return Markdown that shows ``text`` as written, in Pandoc, Quarto, HTML and Typst.

    Nothing in it can become markup, mathematics, code, a link, a citation, a shortcode, raw HTML or
    Typst, or a table cell's end. Line breaks and control characters become spaces.
    """
    return _LIST.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", flat(text)))


def flat(text: str) -> str:
    """Return ``text`` on one line, without control characters and outer spaces."""
    shown = (c if c.isprintable() or c in NBSP + _JOINERS else " " for c in text)
    return re.sub(" +", " ", "".join(shown)).strip(" ")


def unbroken(text: str) -> str:
    """Return ``text`` with no-break spaces between figures and their percent signs."""
    return re.sub(r"(?<=\d) (?=%)", NBSP, text)


def number_word(count: int) -> str:
    """3 → three; 12 → 12."""
    return WORDS[count] if count < len(WORDS) else f"{count:,}"


def plural(count: int, noun: str, nouns: str = "") -> str:
    """1, image → 1 image; 2000, image → 2,000 images."""
    return f"{count:,} {noun if count == 1 else nouns or noun + 's'}"


def join(items: Sequence[str], word: str = "and") -> str:
    """a, b, c → a, b and c."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {word} {items[-1]}"


def opened(text: str) -> str:
    """Begin a sentence: capitalise our own words, leave a network's name as it is written."""
    own = ("the ", "fine-tuned ", "all ", "both ", "neither ", *(f"{word} " for word in WORDS))
    return text[0].upper() + text[1:] if text.startswith(own) else text
