"""The PDF: Typst source by Pandoc, compiled in this process and tagged."""

import datetime
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typst
from nbformat import NotebookNode

from pipeline.errors import RenderError, one_line
from pipeline.report.render import markdown, options, pandoc


def version() -> str:
    """Return Typst's version, as "0.15.2"."""
    return importlib.metadata.version("typst")


def write(notebook: NotebookNode, found: Mapping[str, Any], root: Path, folder: Path) -> tuple[bytes, str]:
    """Return the PDF, and why it does not meet its accessibility standard, or an empty string.

    ``folder`` gets its pictures. Raises RenderError with Typst's message.
    """
    text = markdown.write(notebook, "typst", folder)
    body = pandoc.convert(text, notebook, "--to", "typst", "--shift-heading-level-by", "-1")
    source = folder / "report.typ"
    source.write_text(f"{_head(found, root)}\n\n{body}", encoding="utf-8")
    standard = found.get("pdf-standard")
    try:
        return _compile(source, [standard] if standard else []), ""
    except typst.TypstError as error:
        if not error.message.startswith("PDF/"):
            raise RenderError(f"Typst failed: {one_line(error.diagnostic)}") from None
        return _compile(source, []), f"The PDF is tagged, but not fully accessible: {one_line(error.message)}"


def _head(found: Mapping[str, Any], root: Path) -> str:
    """Return what stands above the text: the template, and the document's own rules, which win."""
    template = (pandoc.HERE / "report.typ").read_text(encoding="utf-8")
    language, size = found.get("lang", "en"), found.get("papersize", "a4")
    call = f'#show: article.with(lang: "{language}", paper: "{size}")'
    own = options.file_of(found, "include-before-body", root)
    return "\n\n".join([template, call, own.read_text(encoding="utf-8") if own else ""])


def _compile(source: Path, standards: list[Any]) -> bytes:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    return typst.compile(source, root=source.parent, pdf_standards=standards, timestamp=now)
