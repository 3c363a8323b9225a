"""A ``.qmd`` as a notebook: its cells, its inline code as cells of their own, and Markdown between them.

Each cell's metadata says on which ``line`` of the document it starts, and a code cell's also on which
its ``code`` does, its ``options``, and whether it is ``inline``.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from pipeline.errors import InputError, one_line
from pipeline.report.render import options
from pipeline.report.render.options import unsupported

HEADER = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(
    r"^(?P<indent>[ \t]*)(?P<fence>`{3,}|~{3,})(?P<info>[^`\n]*)\n(?P<body>.*?)^[ \t]*(?P=fence)[`~]*[ \t]*$",
    re.MULTILINE | re.DOTALL,
)
OPEN = re.compile(r"^[ \t]*(?:`{3,}|~{3,})[^`\n]*$", re.MULTILINE)
OPTIONS = re.compile(r"(?:^#\|.*\n)*", re.MULTILINE)
INLINE = re.compile(r"(?<!`)`\{(?P<language>\w+)\} (?P<code>[^`]+)`(?!`)")
SHORTCODE = re.compile(r"\{\{<\s*(\S+)")


def read(path: Path) -> NotebookNode:
    """Return a ``.qmd`` as a notebook that knows its ``name``.

    Raises InputError when it cannot be read, UnsupportedSyntaxError for what the text alone shows
    not to be supported: options, shortcodes, cells and inline code in other languages than Python.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as UTF-8 text: {error}.") from None
    return parse(text, path.name)


def parse(text: str, name: str) -> NotebookNode:
    """Return the text of a ``.qmd`` as a notebook."""
    header = HEADER.match(text)
    if header:
        options.read(header[1], name, options.HEADER, "option", first_line=2)
    elif text.startswith("---"):
        raise InputError(f"{name}:1: the YAML header has no end; close it with a line '---'.")
    cells = list(_cells(text, header.end() if header else 0, name))
    return new_notebook(cells=cells, metadata={"name": name})


def title(cell: NotebookNode) -> str:
    """Return how messages call a code cell: by its label, or by its first line."""
    if cell.metadata.inline:
        return f"inline code '{one_line(cell.source, 60)}'"
    label = cell.metadata.options.get("label") or one_line(cell.source.partition("\n")[0], 60)
    return f"cell '{label}'" if label else "cell"


def line_of(notebook: NotebookNode, fragment: str) -> int:
    """Return the first line that a piece of the document comes from, 1 when none holds it whole."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and fragment in cell.source:
            return int(cell.metadata.line) + cell.source[: cell.source.index(fragment)].count("\n")
        if cell.cell_type == "code" and fragment in f"{cell.metadata.options} {cell.outputs}":
            return int(cell.metadata.line)
    return 1


def _cells(text: str, start: int, name: str) -> Iterator[NotebookNode]:
    for block in BLOCK.finditer(text, start):
        yield from _prose(text, start, block.start(), name)
        yield _block(block, text.count("\n", 0, block.start()) + 1, name)
        start = block.end()
    yield from _prose(text, start, len(text), name)


def _block(block: re.Match[str], line: int, name: str) -> NotebookNode:
    """Return a fenced block: a cell, or raw HTML or Typst as it stands."""
    info = block["info"].strip()
    if info == "{python}" and not block["indent"]:
        return _code(block["body"], line, name)
    if info.startswith("{") and not info.startswith("{="):
        what = f"an indented cell '{info}'" if block["indent"] else f"a cell that starts '{info}'"
        raise unsupported(f"{name}:{line}", what, ("{python}",))
    return new_markdown_cell(block[0], metadata={"line": line})


def _code(body: str, line: int, name: str) -> NotebookNode:
    head = OPTIONS.match(body)
    assert head is not None
    found = options.read(head[0].replace("#|", ""), name, options.CELL, "cell option", line + 1)
    _check_label(found, f"{name}:{line}")
    first = line + 1 + head[0].count("\n")
    metadata = {"line": line, "code": first, "options": found, "inline": False}
    return new_code_cell(body[head.end() :].removesuffix("\n"), metadata=metadata)


def _check_label(found: dict[str, str], place: str) -> None:
    """A figure or table needs its caption, and no other cell has one."""
    label = found.get("label", "")
    if not re.fullmatch(r"[\w-]*", label):
        raise unsupported(place, f"the label '{label}', which is not of letters, digits and hyphens,")
    for kind in ("fig", "tbl"):
        if label.startswith(f"{kind}-") != (f"{kind}-cap" in found):
            raise unsupported(place, f"a cell with only one of '{kind}-cap' and a label '{kind}-…'")


def _prose(text: str, start: int, end: int, name: str) -> Iterator[NotebookNode]:
    """Yield the Markdown between two positions, and its inline code."""
    for inline in INLINE.finditer(text, start, end):
        yield _markdown(text, start, inline.start(), name)
        line = text.count("\n", 0, inline.start()) + 1
        if inline["language"] != "python":
            raise unsupported(f"{name}:{line}", f"inline code in '{inline['language']}'", ("{python}",))
        metadata = {"line": line, "code": line, "options": {}, "inline": True}
        yield new_code_cell(inline["code"], metadata=metadata)
        start = inline.end()
    yield _markdown(text, start, end, name)


def _markdown(text: str, start: int, end: int, name: str) -> NotebookNode:
    if found := SHORTCODE.search(text, start, end):
        line = text.count("\n", 0, found.start()) + 1
        raise unsupported(f"{name}:{line}", f"shortcode '{{{{< {found[1]} >}}}}'")
    if found := OPEN.search(text, start, end):
        line = text.count("\n", 0, found.start()) + 1
        raise InputError(f"{name}:{line}: the block '{found[0].strip()}' has no end; close it.")
    return new_markdown_cell(text[start:end], metadata={"line": text.count("\n", 0, start) + 1})
