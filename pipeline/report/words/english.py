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
# Hebrew, Arabic and their kin; within two marks their order does not reach the numbers around them.
_LEFTWARD = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefe\U00010800-\U00010fff\U0001e800-\U0001efff]")
_OPEN, _CLOSE = "\u2068", "\u2069"
_AS_MARKUP = {_OPEN: f"`<bdi>`{{=html}}`{_OPEN}`{{=typst}}", _CLOSE: f"`</bdi>`{{=html}}`{_CLOSE}`{{=typst}}"}


def escape_markdown(text: str) -> str:
    """Return Markdown that shows ``text`` as written, in Pandoc, Quarto, HTML and Typst.

    Nothing in it can become markup, mathematics, code, a link, a citation, a shortcode, raw HTML or
    Typst, or a table cell's end. Line breaks and control characters become spaces. Quoted names that run
    from right to left are set apart.
    """
    plain = _LIST.sub(r"\1\\\2", _SPECIAL.sub(r"\\\g<0>", flat(text)))
    apart = re.sub("(?<=“)[^“”]+(?=”)", lambda quoted: isolated(quoted[0]), plain)
    return re.sub(f"[{_OPEN}{_CLOSE}]", lambda mark: _AS_MARKUP[mark[0]], apart)


def isolated(name: str) -> str:
    """Return a name between marks that keep its direction to itself, where it runs from right to left."""
    found = _LEFTWARD.search(name) and not name.startswith(_OPEN)
    return f"{_OPEN}{name}{_CLOSE}" if found else name


def as_marks(markdown: str) -> str:
    """Return what ``escape_markdown`` made with the marks of ``isolated`` in place of their markup."""
    for mark, markup in _AS_MARKUP.items():
        markdown = markdown.replace(markup, mark)
    return markdown


def without_marks(text: str) -> str:
    """Return text without the marks of ``isolated``, for machines and for attributes."""
    return text.replace(_OPEN, "").replace(_CLOSE, "")


def flat(text: str) -> str:
    """Return ``text`` on one line, without control characters and outer spaces."""
    shown = (c if c.isprintable() or c in NBSP + _JOINERS + _OPEN + _CLOSE else " " for c in text)
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
