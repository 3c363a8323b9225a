"""One Markdown text from a document and what its cells displayed, for one format.

What a cell displayed stands in Divs of the class ``headstart-cell``; ``cells`` gives them their final
shape in Pandoc's tree, where no text can be mistaken for markup.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.document import FENCE, Cell, Document, Text
from pipeline.report.embedded.execution import Results
from pipeline.report.embedded.outputs import Output

PAGEBREAK = re.compile(r"^[ \t]*\{\{<\s*pagebreak\s*>\}\}[ \t]*$")
RAW_INLINE = re.compile(r"`([^`]+)`\{=html\}")
TITLE_KEYS = ("title", "subtitle", "abstract")


@dataclass
class RawHtml:
    """Raw HTML set aside under a token: it may be megabytes, which Pandoc need not read."""

    pieces: list[str] = field(default_factory=list)
    mark: str = field(default_factory=lambda: f"HEADSTART{secrets.token_hex(8)}N")

    def store(self, piece: str) -> str:
        """Keep a piece and return its token."""
        self.pieces.append(piece)
        return f"{self.mark}{len(self.pieces) - 1}X"

    def restore(self, page: str) -> str:
        """Return a page with each token replaced by its piece."""
        return re.sub(rf"{self.mark}(\d+)X", lambda match: self.pieces[int(match[1])], page)

    def is_token(self, text: str) -> bool:
        """Whether a text is a token."""
        return re.fullmatch(rf"{self.mark}\d+X", text.strip()) is not None


def assemble(
    document: Document,
    results: Results,
    outputs: dict[int, list[Output]],
    configuration: Configuration,
    html: RawHtml,
) -> str:
    """Return the Markdown of the whole document; raw HTML in it is moved to ``html``."""
    parts = [_title_texts(configuration)]
    for number, block in enumerate(document.blocks):
        if isinstance(block, Text):
            parts.append(block.with_values(results.values.get(number, [])))
        else:
            parts.append(_cell(number, block, outputs.get(number, []), configuration))
    return set_aside_html("\n\n".join(parts), html)


def visible_outputs(cell: Cell, outputs: list[Output], configuration: Configuration) -> list[Output]:
    """Return the outputs that the cell's options let through."""
    if not configuration.execute("include", cell) or configuration.execute("output", cell) is False:
        return []
    warnings = configuration.execute("warning", cell)
    return [output for output in outputs if warnings or output.kind != "stderr"]


def _title_texts(configuration: Configuration) -> str:
    """Return Divs with the title texts, which may hold Markdown."""
    return "\n\n".join(
        _div(f'.headstart-title key="{key}"', str(configuration.get(key)))
        for key in TITLE_KEYS
        if configuration.get(key)
    )


def _cell(number: int, cell: Cell, outputs: list[Output], configuration: Configuration) -> str:
    shown = visible_outputs(cell, outputs, configuration)
    as_is = configuration.execute("output", cell) == "asis"
    if as_is and not cell.label:
        return "\n\n".join(_markdown(output, as_is) for output in shown)
    pieces = [
        _div(f'.headstart-output number="{position}"', _markdown(output, as_is))
        for position, output in enumerate(shown)
    ]
    return _div(f'.headstart-cell block="{number}"', "\n\n".join([*pieces, *_captions(cell)]))


def _markdown(output: Output, as_is: bool) -> str:
    if as_is and output.kind == "image":
        return f"![]({output.content})"
    return output.content if output.kind == "markdown" or (as_is and output.kind == "stdout") else ""


def _captions(cell: Cell) -> Iterator[str]:
    for key in ("fig-cap", "tbl-cap", "fig-subcap"):
        value = cell.option(key, [])
        for caption in [value] if isinstance(value, str) else value:
            yield _div(f'.headstart-caption key="{key}"', str(caption))


def _div(attributes: str, content: str) -> str:
    return f"::: {{{attributes}}}\n\n{content}\n\n:::"


def set_aside_html(markdown: str, html: RawHtml) -> str:
    """Return Markdown with its explicit raw HTML replaced by tokens, and pagebreaks by Divs."""
    kept: list[str] = []
    inside: list[str] = []
    closing: re.Pattern[str] | None = None
    is_html = False
    for line in markdown.split("\n"):
        if closing is None:
            opening = FENCE.match(line)
            if opening:
                closing = re.compile(rf"^[ \t]*{opening['fence'][0]}{{{len(opening['fence'])},}}[ \t]*$")
                is_html = opening["info"].strip() == "{=html}"
                kept.append(line)
            else:
                kept.append(_prose(line, html))
        elif closing.match(line):
            kept += [line[: -len(line.lstrip())] + html.store("\n".join(inside)), line] if is_html else [line]
            closing, is_html, inside = None, False, []
        else:
            (inside if is_html else kept).append(line)
    return "\n".join(kept + inside)


def _prose(line: str, html: RawHtml) -> str:
    if PAGEBREAK.match(line):
        return "\n::: {.headstart-pagebreak}\n:::\n"
    return RAW_INLINE.sub(lambda match: f"`{html.store(match[1])}`{{=html}}", line)
