"""Small documents, and what the embedded renderer makes of them."""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from pathlib import Path

import nbformat
import yaml
from nbformat import NotebookNode

from pipeline.report.render import embedded, notebook, options
from tests.report.paper import words_of

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10"/></svg>'
PROJECT = {
    "lang": "en",
    "toc": True,
    "execute": {"echo": False, "warning": False},
    "format": {"html": {"pagetitle": "Small"}, "typst": {"papersize": "a5"}},
}


def write_project(folder: Path, text: str, project: Mapping[str, object] = PROJECT) -> Path:
    """Write a document and its ``_quarto.yml``; return the document's path."""
    (folder / "_quarto.yml").write_text(yaml.safe_dump(dict(project)), encoding="utf-8")
    (folder / "report.qmd").write_text(text, encoding="utf-8")
    return folder / "report.qmd"


def written(
    folder: Path, text: str, outputs: Sequence[list[NotebookNode]] = (), formats: Sequence[str] = ("html",)
) -> tuple[dict[str, bytes], list[str]]:
    """Return each format and the warnings of a document whose cells displayed ``outputs``, one list each."""
    document = notebook.read(write_project(folder, text))
    cells = [cell for cell in document.cells if cell.cell_type == "code"]
    for cell, shown in zip(cells, outputs, strict=False):
        cell.outputs = shown
    return embedded.write(document, options.read_project(folder), folder, formats)


def page_of(folder: Path, text: str, outputs: Sequence[list[NotebookNode]] = ()) -> str:
    """Return the HTML of a document."""
    return written(folder, text, outputs)[0]["html"].decode()


def paper_of(folder: Path, text: str, outputs: Sequence[list[NotebookNode]] = ()) -> str:
    """Return the words of a document's PDF."""
    return words_of(written(folder, text, outputs, ("pdf",))[0]["pdf"])


def words(page: str) -> str:
    """Return the visible words of a piece of HTML, with every kind of blank as one space."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", bare)).split())


def cell(*found: str, code: str = "1") -> str:
    """Return a cell with options, as it stands in a document."""
    return "\n".join(["```{python}", *(f"#| {option}" for option in found), code, "```", ""])


def figure() -> NotebookNode:
    """Return what a cell displays when it draws."""
    return display({"image/svg+xml": SVG, "text/plain": "<Figure size 1x1>"})


def markdown(text: str) -> NotebookNode:
    """Return what a cell displays for ``Markdown(text)``."""
    return display({"text/markdown": text, "text/plain": "<Markdown>"})


def display(data: Mapping[str, str]) -> NotebookNode:
    """Return a display of some mime types."""
    return nbformat.v4.new_output("display_data", data=dict(data))


def printed(text: str, name: str = "stdout") -> NotebookNode:
    """Return what a cell printed."""
    return nbformat.v4.new_output("stream", name=name, text=text)
