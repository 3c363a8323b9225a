"""The embedded renderer: a notebook, Markdown, Pandoc with one filter, Typst."""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from pipeline.report.render import markdown, notebook, options, pandoc, paper, web
from pipeline.report.render.execute import execute


def describe() -> str:
    """Return the renderer and its versions, as the report's footer shows them."""
    return f"embedded: Pandoc {pandoc.version()}, Typst {paper.version()}"


def render(
    qmd: Path, parameters: Mapping[str, Any], formats: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, bytes], list[str]]:
    """Return the content of each format ("html", "pdf"), and warnings; cells run once for both.

    Raises UnsupportedSyntaxError before any cell runs where the text alone shows it.
    """
    root = qmd.resolve().parent
    project, document = options.read_project(root), notebook.read(qmd)
    execute(document, Path.cwd(), parameters, environment)
    return write(document, project, root, formats)


def write(
    document: NotebookNode, project: Mapping[str, Any], root: Path, formats: Sequence[str]
) -> tuple[dict[str, bytes], list[str]]:
    """Return each format of an executed document, and warnings; both are written side by side."""
    with tempfile.TemporaryDirectory(prefix="headstart-") as name, ThreadPoolExecutor() as pool:
        pending = {key: pool.submit(_write, key, document, project, root, Path(name)) for key in formats}
        done = {key: future.result() for key, future in pending.items()}
    warnings = [warning for _, warning in done.values() if warning]
    warnings += markdown.without_alternative(document)
    return {key: content for key, (content, _) in done.items()}, warnings


def _write(
    format_name: str, document: NotebookNode, project: Mapping[str, Any], root: Path, folder: Path
) -> tuple[bytes, str]:
    if format_name == "html":
        return web.write(document, options.of_format(project, "html"), root, folder), ""
    return paper.write(document, options.of_format(project, "typst"), root, folder)
