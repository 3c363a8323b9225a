"""Render a document: run it once, then write each format."""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.report.embedded import pandoc, paper, web
from pipeline.report.embedded.assembly import RawHtml, assemble
from pipeline.report.embedded.cells import CellBuilder
from pipeline.report.embedded.checks import check_tree, select_format
from pipeline.report.embedded.configuration import Configuration, read_configuration
from pipeline.report.embedded.document import Document, read_document
from pipeline.report.embedded.execution import Results, execute
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
        executed = Executed(document, results, outputs, Path(folder))
        return _write_all(executed, configurations)


def _write_all(
    executed: Executed, configurations: Mapping[str, Configuration]
) -> tuple[dict[str, bytes], list[str]]:
    """Write the formats side by side: Pandoc and Typst run outside Python's lock."""
    with ThreadPoolExecutor(len(configurations)) as pool:
        pending = {
            name: pool.submit(_write_page if name == "html" else _write_pdf, executed, configuration)
            for name, configuration in configurations.items()
        }
        done = {name: future.result() for name, future in pending.items()}
    return {name: content for name, (content, _) in done.items()}, [w for _, w in done.values() if w]


def _write_page(executed: Executed, configuration: Configuration) -> tuple[bytes, str]:
    html = RawHtml()
    blocks, titles, labels = _blocks(executed, configuration, html)
    written = WebBlocks(labels).write(blocks)
    page = web.write_page(written, titles, labels, configuration, html, executed.folder)
    return page.encode(), ""


def _write_pdf(executed: Executed, configuration: Configuration) -> tuple[bytes, str]:
    blocks, titles, _ = _blocks(executed, configuration, RawHtml())
    written = PaperBlocks(_origins(executed)).write(blocks)
    source = paper.write_source(written, titles, configuration)
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
