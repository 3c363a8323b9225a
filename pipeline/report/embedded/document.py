"""A ``.qmd`` file as its YAML header, its text and its code cells, each with its line."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import InputError, UnsupportedSyntaxError
from pipeline.report.embedded.yaml_lines import LocatedMapping, read_located

FENCE = re.compile(r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
CELL_INFO = re.compile(r"^\{(?P<language>[A-Za-z]\w*)(?P<rest>[^}]*)\}$")
OPTION = re.compile(r"^#\|( (?P<yaml>.*)|\s*)$")
INLINE = re.compile(r"(?P<before>^|[^`])`\{(?P<language>\w+)\}[ \t](?P<code>[^`]+)`", re.MULTILINE)


@dataclass(frozen=True)
class Text:
    """Markdown between two cells; ``line`` is its first line in the file, counted from 1."""

    source: str
    line: int

    def expressions(self) -> list[tuple[str, int]]:
        """Return the Python expressions of ``{python} ...`` in the text, each with its line."""
        return [
            (match["code"].strip(), self.line + self.source.count("\n", 0, match.start("code")))
            for match in INLINE.finditer(self.source)
        ]

    def with_values(self, values: list[str]) -> str:
        """Return the Markdown with each inline expression replaced by its value."""
        remaining = iter(values)
        return INLINE.sub(lambda match: match["before"] + next(remaining), self.source)


@dataclass(frozen=True)
class Cell:
    """One ```` ```{python} ```` cell: its code without the ``#|`` lines, and these as options."""

    source: str
    options: LocatedMapping
    line: int
    source_line: int

    @property
    def label(self) -> str:
        """The label, or an empty string."""
        return str(self.options.values.get("label", ""))

    @property
    def tags(self) -> list[str]:
        """The cell's tags; Papermill's ``parameters`` is the one that matters."""
        tags = self.options.values.get("tags", [])
        return [tags] if isinstance(tags, str) else list(tags)

    def option(self, name: str, default: Any = None) -> Any:
        """Return the value of a ``#|`` option."""
        return self.options.values.get(name, default)

    def __str__(self) -> str:
        return f"cell '{self.label}'" if self.label else "cell"


@dataclass(frozen=True)
class Document:
    """A whole ``.qmd``: the YAML header and the blocks in their order."""

    path: Path
    header: LocatedMapping
    blocks: tuple[Text | Cell, ...]

    @property
    def name(self) -> str:
        """The file name, as messages show it."""
        return self.path.name

    def cells(self) -> list[Cell]:
        """The code cells, in order."""
        return [block for block in self.blocks if isinstance(block, Cell)]


def read_document(path: Path) -> Document:
    """Read a ``.qmd``.

    Raises InputError when it cannot be read, UnsupportedSyntaxError for a cell that is not Python.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}.") from None
    return parse_document(text, path)


def parse_document(text: str, path: Path) -> Document:
    """Split the text of a ``.qmd`` into header, text and cells."""
    lines = text.splitlines()
    header, start = _header(lines, path.name)
    return Document(path, header, tuple(_blocks(lines, start, path.name)))


def _header(lines: list[str], name: str) -> tuple[LocatedMapping, int]:
    """Return the YAML header and the index of the first line after it."""
    if not lines or lines[0].rstrip() != "---":
        return LocatedMapping(name), 0
    for index, line in enumerate(lines[1:], start=1):
        if line.rstrip() in ("---", "..."):
            return read_located("\n".join(lines[1:index]), name, 2), index + 1
    raise InputError(f"{name}:1: the YAML header has no end; close it with a line '---'.")


def _blocks(lines: list[str], start: int, name: str) -> Iterator[Text | Cell]:
    text_start, index = start, start
    while index < len(lines):
        opening = FENCE.match(lines[index])
        if not opening:
            index += 1
            continue
        end = _fence_end(lines, index, opening, name)
        info = CELL_INFO.match(opening["info"].strip())
        if info:
            _refuse_other_cells(info, opening, name, index + 1)
            yield from _text(lines, text_start, index)
            yield _cell(lines, index, end, name)
            text_start = end + 1
        index = end + 1
    yield from _text(lines, text_start, len(lines))


def _fence_end(lines: list[str], start: int, opening: re.Match[str], name: str) -> int:
    closing = re.compile(rf"^[ \t]*{re.escape(opening['fence'][0])}{{{len(opening['fence'])},}}[ \t]*$")
    for index in range(start + 1, len(lines)):
        if closing.match(lines[index]):
            return index
    raise InputError(f"{name}:{start + 1}: the block '{lines[start].strip()}' has no end; close it.")


def _refuse_other_cells(info: re.Match[str], opening: re.Match[str], name: str, line: int) -> None:
    problem = None
    if info["language"] != "python":
        problem = f"a cell in '{info['language']}' is not supported; cells are {{python}}"
    elif info["rest"].strip():
        problem = (
            f"options in the cell's first line ('{info['rest'].strip()}') are not supported; use #| lines"
        )
    elif opening["indent"]:
        problem = "an indented cell is not supported; start it at the margin"
    if problem:
        raise UnsupportedSyntaxError(f"{name}:{line}: {problem} in the embedded renderer, or install Quarto.")


def _text(lines: list[str], start: int, end: int) -> Iterator[Text]:
    if any(line.strip() for line in lines[start:end]):
        yield Text("\n".join(lines[start:end]), start + 1)


def _cell(lines: list[str], start: int, end: int, name: str) -> Cell:
    body = lines[start + 1 : end]
    count = next((i for i, line in enumerate(body) if not OPTION.match(line)), len(body))
    yaml_text = "\n".join((match["yaml"] or "") for match in map(OPTION.match, body[:count]) if match)
    options = read_located(yaml_text, name, start + 2)
    return Cell("\n".join(body[count:]).strip("\n"), options, start + 1, start + 2 + count)
