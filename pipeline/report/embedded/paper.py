"""The PDF: Typst source from the syntax tree, compiled in this process and tagged."""

import datetime
import importlib.metadata
from importlib import resources
from pathlib import Path
from typing import Any

import typst

from pipeline.errors import RenderError, one_line
from pipeline.report.embedded import pandoc
from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.paper_blocks import quoted
from pipeline.report.embedded.titles import Titles
from pipeline.report.embedded.tree import Node, node, raw

TEMPLATE = resources.files("pipeline.report.embedded") / "assets" / "report.typ"
PART = "// headstart-part"
DEFAULT_STANDARD = "ua-1"


def version() -> str:
    """Return Typst's version, as "0.15.2"."""
    return importlib.metadata.version("typst")


def write_source(blocks: list[Node], titles: Titles, configuration: Configuration) -> str:
    """Return the whole Typst source: template, the document's own header, and the body."""
    title, subtitle, abstract, body = _parts(blocks, titles)
    arguments = {
        "title": f"[{title}]" if title else "none",
        "subtitle": f"[{subtitle}]" if subtitle else "none",
        "abstract": f"[{abstract}]" if abstract else "none",
        "authors": "(" + "".join(f"{quoted(author)}, " for author in titles.authors) + ")",
        "date": quoted(titles.date) if titles.date else "none",
        "description": quoted(titles.description) if titles.description else "none",
        "lang": quoted(str(configuration.get("lang", "en")).split("-")[0]),
        **_layout(configuration),
    }
    call = ",\n  ".join(f"{name}: {value}" for name, value in arguments.items())
    return "\n\n".join(
        [
            TEMPLATE.read_text(encoding="utf-8"),
            configuration.files("include-in-header"),
            f"#show: article.with(\n  {call},\n)",
            configuration.files("include-before-body"),
            body,
            configuration.files("include-after-body"),
        ]
    )


def compile_pdf(source: str, folder: Path, configuration: Configuration) -> tuple[bytes, str]:
    """Return the PDF, and why it does not meet its accessibility standard, or an empty string.

    The PDF is tagged in any case. ``folder`` holds the images. Raises RenderError with Typst's message.
    """
    standards = configuration.texts("pdf-standard") or [DEFAULT_STANDARD]
    path = folder / "report.typ"
    path.write_text(source, encoding="utf-8")
    try:
        return _compile(path, folder, standards), ""
    except typst.TypstError as error:
        if not error.message.startswith("PDF/"):
            raise RenderError(f"Typst failed: {one_line(error.diagnostic)}") from None
        return _compile(path, folder, []), one_line(error.message)


def _compile(path: Path, folder: Path, standards: list[str]) -> bytes:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    allowed: Any = standards
    return typst.compile(path, root=folder, pdf_standards=allowed, timestamp=now)


def _parts(blocks: list[Node], titles: Titles) -> list[str]:
    """Return title, subtitle, abstract and body as Typst, from one call of Pandoc."""
    mark = raw("typst", PART)
    parts = [
        [node("Plain", titles.inlines("title"))],
        [node("Plain", titles.inlines("subtitle"))],
        titles.blocks.get("abstract", []),
        blocks,
    ]
    joined = [block for part in parts for block in (*part, mark)]
    return [part.strip() for part in pandoc.write(joined[:-1], "typst").split(PART)]


def _layout(configuration: Configuration) -> dict[str, str]:
    """Return the arguments of the template for the options that are set."""
    found: dict[str, str] = {}
    if configuration.get("number-sections", False):
        found["section-numbering"] = quoted("1.1.1")
    if configuration.get("toc", False):
        found |= {"toc": "true", "toc-depth": str(configuration.get("toc-depth", 3))}
        found["toc-title"] = quoted(configuration.get("toc-title", "Table of contents"))
    for option, argument in (("papersize", "paper"), ("mainfont", "font")):
        if configuration.get(option):
            found[argument] = quoted(str(configuration.get(option)))
    if configuration.get("fontsize"):
        found["fontsize"] = str(configuration.get("fontsize"))
    if configuration.get("margin"):
        pairs = (f"{side}: {length}" for side, length in configuration.get("margin").items())
        found["margin"] = f"({', '.join(pairs)})"
    if configuration.get("abstract-title"):
        found["abstract-title"] = quoted(str(configuration.get("abstract-title")))
    return found
