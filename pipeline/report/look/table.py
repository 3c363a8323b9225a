"""Pipe tables, which Quarto, Pandoc, a page and a PDF all understand."""

import re
from collections.abc import Sequence

from IPython.display import Markdown

from pipeline.report.look.theme import short
from pipeline.report.words.english import escape_markdown, isolated

ROOM = 110  # characters side by side that a page of the PDF holds in a table
BETWEEN = 2  # characters that the gap between two columns takes
NONE = "–"


def table(header: Sequence[str], rows: Sequence[Sequence[str]], align: str) -> Markdown:
    """Return a table; cells are Markdown, ``align`` holds l, r or c for each column.

    Where lines are long Pandoc takes the dashes below the header for the columns' relative widths.
    """
    columns = list(zip(header, *rows, strict=True))
    rule = [_dashes(width, side) for width, side in zip(_widths(columns), align, strict=True)]
    return Markdown("\n".join(f"| {' | '.join(row)} |" for row in (header, rule, *rows)) + "\n")


def name(text: str, limit: int = 48) -> str:
    """Return the name of a class or a model as Markdown, cut in the middle where it is long."""
    return escape_markdown(isolated(short(text, limit)))


def bold(text: str, when: bool = True) -> str:
    """Return Markdown in bold, or as it is."""
    return f"**{text}**" if when else text


def _widths(columns: Sequence[Sequence[str]]) -> list[int]:
    """Return how many characters each column gets: what it wants, or less where words can wrap."""
    plain = [[_plain(cell) for cell in column] for column in columns]
    widths = [BETWEEN + max(_room(cell, row == 0) for row, cell in enumerate(column)) for column in plain]
    least = [
        BETWEEN
        + max(_room(word, row == 0) for row, cell in enumerate(column) for word in re.split("[ _/]", cell))
        for column in plain
    ]
    while sum(widths) > ROOM and any(w > low for w, low in zip(widths, least, strict=True)):
        widest = max((w, k) for k, (w, low) in enumerate(zip(widths, least, strict=True)) if w > low)[1]
        widths[widest] -= 1
    return widths


def _room(words: str, bold: bool = False) -> int:
    """Return how many average characters wide words are; capitals and bold ones are wider."""
    width = len(words) + sum(c.isupper() for c in words) // 3
    return width + width // 10 if bold else width


def _plain(cell: str) -> str:
    """Return about what a reader sees of a cell: references are words, escapes and marks are not."""
    words = re.sub(r"@(fig|tbl)-[a-z0-9-]+", "Figure 00", re.sub(r"`[^`]*`\{=\w+\}", "", cell))
    return re.sub(r"\\(?=[\W_])|\*\*|`", "", words)


def _dashes(width: int, side: str) -> str:
    return {"l": ":" + "-" * (width - 1), "r": "-" * (width - 1) + ":", "c": ":" + "-" * (width - 2) + ":"}[
        side
    ]
