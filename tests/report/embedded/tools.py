"""Render fixtures, or Markdown and made outputs without a kernel, and read the resulting page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from pypdf import PdfReader

from pipeline.report.embedded import renderer
from pipeline.report.embedded.configuration import read_configuration
from pipeline.report.embedded.document import Cell, parse_document
from pipeline.report.embedded.execution import Results
from pipeline.report.embedded.outputs import read_outputs
from pipeline.report.embedded.subset import check_document

FIXTURES = Path(__file__).parent / "fixtures"
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="10"><rect width="20" height="10"/></svg>'


@dataclass(frozen=True)
class Report:
    """A rendered fixture: the page, the text of the PDF's pages, and the warnings."""

    page: str
    pdf: bytes
    warnings: list[str]

    @property
    def paper(self) -> str:
        """The words of the PDF, with every kind of blank as one space."""
        text = " ".join(page.extract_text() for page in PdfReader(BytesIO(self.pdf)).pages)
        return " ".join(text.split())


def render_fixture(name: str, **parameters: str) -> Report:
    """Render a fixture in both formats."""
    files, warnings = renderer.render(FIXTURES / name, parameters, ("html", "pdf"), {})
    return Report(files["html"].decode(), files["pdf"], warnings)


def render_text(
    text: str, folder: Path, outputs: Sequence[list[NotebookNode]] = (), formats: Sequence[str] = ("html",)
) -> dict[str, bytes]:
    """Render a document whose cells displayed ``outputs``, one list for each cell."""
    document = parse_document(text, folder / "report.qmd")
    check_document(document)
    configurations = {name: read_configuration(document, renderer.FORMATS[name]) for name in formats}
    numbers = [n for n, block in enumerate(document.blocks) if isinstance(block, Cell)]
    results = Results(outputs=dict(zip(numbers, [*outputs, *([[]] * len(numbers))], strict=False)))
    work = folder / "work"
    work.mkdir(exist_ok=True)
    read = read_outputs(document, results, work)
    executed = renderer.Executed(document, results, read, work)
    return renderer.write_formats(executed, configurations)[0]


def page_of(text: str, folder: Path, outputs: Sequence[list[NotebookNode]] = ()) -> str:
    """Return the HTML of a document."""
    return render_text(text, folder, outputs)["html"].decode()


def figure() -> NotebookNode:
    """Return what a cell displays when it draws."""
    return display({"image/svg+xml": SVG, "text/plain": "<Figure size 1x1>"})


def markdown(text: str) -> NotebookNode:
    """Return what a cell displays for ``Markdown(text)``."""
    return display({"text/markdown": text, "text/plain": "<Markdown>"})


def display(data: Mapping[str, str]) -> NotebookNode:
    """Return a display of some mime types."""
    return nbformat.v4.new_output("display_data", data=dict(data))


def printed(text: str) -> NotebookNode:
    """Return what a cell printed."""
    return nbformat.v4.new_output("stream", name="stdout", text=text)


def words(page: str) -> str:
    """Return the visible words of a piece of HTML, with every kind of blank as one space."""
    bare = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    bare = re.sub(r"<annotation.*?</annotation>", "", bare, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", "", bare)).split())


class Elements(HTMLParser):
    """All start tags of a page with their attributes; ``unbalanced`` names tags closed wrongly."""

    EMPTY = frozenset({"meta", "img", "link", "br", "hr", "input", "col", "rect"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.unbalanced += self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if self._open and self._open[-1] == tag:
            self._open.pop()
        elif tag not in self.EMPTY:
            self.unbalanced.append(f"</{tag}>")

    def tags(self, name: str) -> list[dict[str, str | None]]:
        """Return the attributes of every tag of a name."""
        return [attributes for tag, attributes in self.found if tag == name]

    def ids(self) -> list[str]:
        """Return every id, in order."""
        return [str(attributes["id"]) for _, attributes in self.found if "id" in attributes]
