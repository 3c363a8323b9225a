"""Render a document: run it once, then write each format."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.report.embedded import pandoc, paper, web
from pipeline.report.embedded.assembly import RawHtml, assemble, visible_outputs
from pipeline.report.embedded.cells import CellBuilder
from pipeline.report.embedded.checks import check_tree, select_format
from pipeline.report.embedded.configuration import Configuration, read_configuration
from pipeline.report.embedded.document import Cell, Document, read_document
from pipeline.report.embedded.execution import Results, execute
from pipeline.report.embedded.headings import on_paper, section_numbers
from pipeline.report.embedded.neutral import mark_callouts
from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.outputs import Output, read_outputs
from pipeline.report.embedded.paper_blocks import PaperBlocks
from pipeline.report.embedded.pictures import gather_images
from pipeline.report.embedded.references import Label, Numbering, Resolver, find_floats
from pipeline.report.embedded.subset import check_document
from pipeline.report.embedded.tabsets import mark_tabs
from pipeline.report.embedded.titles import Titles, read_titles
from pipeline.report.embedded.tree import Node
from pipeline.report.embedded.web_blocks import WebBlocks

FORMATS = {"html": "html", "pdf": "typst"}


@dataclass(frozen=True)
class Executed:
    """A document after its cells ran: what each displayed, and the folder with their images."""

    document: Document
    results: Results
    outputs: dict[int, list[Output]]
    folder: Path


def engine_description() -> str:
    """Return the renderer and its versions, as the report's footer shows them."""
    return f"embedded: Pandoc {pandoc.version()}, Typst {paper.version()}"


def render(
    qmd: Path, parameters: Mapping[str, Any], formats: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, bytes], list[str]]:
    """Return the content of each format ("html", "pdf"), and warnings.

    Raises UnsupportedSyntaxError before any cell runs where the text alone shows it.
    """
    document = read_document(qmd)
    check_document(document)
    configurations = {name: read_configuration(document, FORMATS[name]) for name in formats}
    results = execute(document, parameters, next(iter(configurations.values())), environment)
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        outputs = read_outputs(document, results, Path(folder))
        return write_formats(Executed(document, results, outputs, Path(folder)), configurations)


def write_formats(
    executed: Executed, configurations: Mapping[str, Configuration]
) -> tuple[dict[str, bytes], list[str]]:
    """Return each format's content, and warnings; Pandoc and Typst work on them side by side."""
    with ThreadPoolExecutor(len(configurations)) as pool:
        pending = {
            name: pool.submit(_write_page if name == "html" else _write_pdf, executed, configuration)
            for name, configuration in configurations.items()
        }
        done = {name: future.result() for name, future in pending.items()}
    warnings = [
        *_without_alternative(executed, next(iter(configurations.values()))),
        *(warning for _, warning in done.values() if warning),
    ]
    return {name: content for name, (content, _) in done.items()}, warnings


def _without_alternative(executed: Executed, configuration: Configuration) -> Iterator[str]:
    """Yield a warning for each cell whose figure says nothing to those who cannot see it."""
    for number, outputs in executed.outputs.items():
        cell = executed.document.blocks[number]
        assert isinstance(cell, Cell)
        shown = visible_outputs(cell, outputs, configuration)
        if any(output.kind == "image" for output in shown) and not cell.option("fig-alt"):
            yield f"{executed.document.name}:{cell.line}: {cell} draws a figure, but has no fig-alt."


def _write_page(executed: Executed, configuration: Configuration) -> tuple[bytes, str]:
    html = RawHtml()
    blocks, titles, labels = _blocks(executed, configuration, html)
    numbers = section_numbers(blocks) if configuration.get("number-sections", False) else {}
    written = WebBlocks(labels).write(blocks)
    page = web.write_page(written, titles, numbers, configuration, html, executed.folder)
    return page.encode(), ""


def _write_pdf(executed: Executed, configuration: Configuration) -> tuple[bytes, str]:
    blocks, titles, _ = _blocks(executed, configuration, RawHtml())
    written = PaperBlocks(_origins(executed)).write(blocks)
    source = paper.write_source(on_paper(written), titles, configuration)
    pdf, problem = paper.compile_pdf(source, executed.folder, configuration)
    return pdf, f"The PDF is tagged, but not fully accessible: {problem}" if problem else ""


def _blocks(
    executed: Executed, configuration: Configuration, html: RawHtml
) -> tuple[list[Node], Titles, dict[str, Label]]:
    """Return the neutral blocks of one format, with every number and reference in place."""
    document, origins = executed.document, _origins(executed)
    markdown = assemble(document, executed.results, executed.outputs, configuration, html)
    titles, blocks = read_titles(pandoc.read_markdown(markdown), configuration, origins)
    blocks = check_tree(blocks, html, origins)
    blocks = select_format(blocks, configuration.format, origins)
    blocks = CellBuilder(document, executed.outputs, configuration, html).build(blocks)
    blocks = gather_images(blocks, configuration.root, executed.folder, origins)
    blocks = mark_tabs(mark_callouts(find_floats(blocks, origins)), origins)
    labels = Numbering().read(blocks)
    numbered = bool(configuration.get("number-sections", False))
    return Resolver(labels, configuration.format, numbered, origins).resolve(blocks), titles, labels


def _origins(executed: Executed) -> Origins:
    return Origins(executed.document, executed.outputs)
