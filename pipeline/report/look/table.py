"""Tables, the same by both engines: cells of a little Markdown, as HTML and as Typst."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.report.look.markup import text, typst_string
from pipeline.report.look.theme import short
from pipeline.report.words.english import as_marks, escape_markdown, isolated, without_marks

NONE = "–"
OPENS, CLOSES = ("\u2068", "<bdi>"), ("\u2069", "</bdi>")  # around names from right to left
WIDE = 30  # characters from which a column of words shares the room that others leave
MOST = 90  # characters by which a column counts at most there
# Code, an escaped character, bold or italics on or off, or any other character.
_TOKEN = re.compile(r"(?P<ticks>`+)(?P<code>.*?)(?P=ticks)|\\(?P<plain>[\W_])|(?P<mark>\*\*?)|(?P<other>.)")


@dataclass(frozen=True)
class Drawn:
    """Something with a form of its own on the page (HTML) and on paper (Typst), and in words."""

    page: str
    paper: str
    words: str = ""


Cell = str | Drawn


@dataclass(frozen=True)
class Table:
    """``header`` and ``rows`` of cells, and their ``align``: l, r or c for each column.

    With ``spans``, the second cell of the last row goes on to the right.
    """

    header: Sequence[Cell]
    rows: Sequence[Sequence[Cell]]
    align: str
    spans: bool = False

    @property
    def plain(self) -> list[list[str]]:
        """The cells as a reader sees them, the header first."""
        return [[_plain(cell) for cell in row] for row in (self.header, *self.rows)]

    @property
    def csv(self) -> str:
        """The same as comma-separated values."""
        file = io.StringIO()
        csv.writer(file, lineterminator="\n").writerows(self.plain)
        return file.getvalue()

    @property
    def html(self) -> str:
        """The table as HTML; each cell knows the head of its column, which a narrow page shows beside it."""
        heads = [_plain(cell) for cell in self.header]
        head = "".join(
            f'<th scope="col" class="{side}">{_html(cell)}</th>' if cell else "<td></td>"
            for cell, side in zip(self.header, self.align, strict=True)
        )
        body = "".join(
            f"<tr>{''.join(_html_cell(*parts) for parts in zip(row, self.align, heads, strict=True))}</tr>\n"
            for row in self._whole_rows
        )
        if self.spans:
            first, rest = (_html(cell) for cell in self.rows[-1][:2])
            body += f'<tr class="same"><td>{first}</td><td colspan="{len(heads) - 1}">{rest}</td></tr>\n'
        return (
            f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'
        )

    @property
    def typst(self) -> str:
        """The table as a call of Typst; columns of many words share the room that others leave."""
        sides = ", ".join({"l": "left", "r": "right", "c": "center"}[side] for side in self.align)
        rows = "\n".join(f"  {', '.join(map(_typst_cell, row))}," for row in self._whole_rows)
        if self.spans:
            first, rest = (_typst_cell(cell) for cell in self.rows[-1][:2])
            rows += f"\n  {first}, table.cell(colspan: {len(self.header) - 1}, {rest}),"
        head = ", ".join(map(_typst_cell, self.header))
        columns = f"({', '.join(self._columns())},)"
        return f"table(columns: {columns}, align: ({sides},),\n  table.header({head}),\n{rows}\n)"

    @property
    def _whole_rows(self) -> Sequence[Sequence[Cell]]:
        return self.rows[:-1] if self.spans else self.rows

    def _columns(self) -> list[str]:
        """Return for each column ``auto``, or of many words its share of the room, as ``40fr``."""
        if self.spans:
            return ["auto", *["1fr"] * (len(self.header) - 1)]
        widths = [max(map(len, column)) for column in zip(*self.plain, strict=True)]
        words = [w if side == "l" else 0 for w, side in zip(widths, self.align, strict=True)]
        return [f"{min(width, MOST)}fr" if width >= WIDE else "auto" for width in words]


def table(header: Sequence[Cell], rows: Sequence[Sequence[Cell]], align: str) -> Table:
    """Return a table; words in cells are Markdown with escapes, bold and code."""
    return Table(header, rows, align)


def name(words: str, limit: int = 48) -> str:
    """Return the name of a class or a model as Markdown, cut in the middle where it is long."""
    return escape_markdown(isolated(short(words, limit)))


def bold(words: str, when: bool = True) -> str:
    """Return Markdown in bold, or as it is."""
    return f"**{words}**" if when else words


def _parts(cell: str) -> Iterator[tuple[str, str]]:
    """Yield what a cell says in pieces of one kind each: plain, bold or code."""
    kind, gathered = "plain", ""
    for found in _TOKEN.finditer(as_marks(cell)):
        if found["mark"] or found["ticks"]:
            if gathered:
                yield kind, gathered
            gathered = ""
        if found["mark"]:
            kind = "plain" if kind != "plain" else "bold" if len(found["mark"]) == 2 else "italics"
        elif found["ticks"]:
            yield "code", found["code"]
        else:
            gathered += found["plain"] or found["other"]
    if gathered:
        yield kind, gathered


def _plain(cell: Cell) -> str:
    words = cell.words if isinstance(cell, Drawn) else "".join(words for _, words in _parts(cell))
    return without_marks(words)


def _html(cell: Cell) -> str:
    if isinstance(cell, Drawn):
        return cell.page
    tags = {"plain": "{}", "bold": "<strong>{}</strong>", "italics": "<em>{}</em>", "code": "<code>{}</code>"}
    shown = "".join(tags[kind].format(text(words)) for kind, words in _parts(cell))
    return shown.replace(*OPENS).replace(*CLOSES)


def _html_cell(cell: Cell, side: str, head: str) -> str:
    return f'<td class="{side}" data-label="{text(head)}">{_html(cell)}</td>'


def _typst_cell(cell: Cell) -> str:
    if isinstance(cell, Drawn):
        return f"[{cell.paper}]"
    calls = {"plain": "#{}", "bold": "#strong({})", "italics": "#emph({})", "code": "#raw({})"}
    return f"[{''.join(calls[kind].format(typst_string(words)) for kind, words in _parts(cell))}]"
