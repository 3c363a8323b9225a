"""An executed notebook as Markdown for one format.

A cell with a label becomes a Div of class ``headstart-float`` with its caption in a Div inside, which
``filter.lua`` makes a numbered figure or table.
"""

import ast
import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from nbformat import NotebookNode

from pipeline.errors import RenderError
from pipeline.report.render.notebook import title
from pipeline.report.words.english import escape_markdown

# The document's own raw HTML gets a name of its own, so that the filter tells it from HTML in the text.
RAW_HTML = re.compile(r"^(`{3,}) ?\{=html\}[ \t]*$", re.MULTILINE)


def write(notebook: NotebookNode, format_name: str, folder: Path) -> str:
    """Return the Markdown for "html" or "typst"; for the latter, pictures are written to ``folder``.

    Raises RenderError, by its line, for a cell that shows what has no place on the page or on paper.
    """
    parts = (
        cell.source if cell.cell_type == "markdown" else _cell(cell, format_name, folder, notebook)
        for cell in notebook.cells
    )
    return RAW_HTML.sub(r"\1{=page}", "".join(parts))


def without_alternative(notebook: NotebookNode) -> Iterator[str]:
    """Yield a warning for each figure that says nothing to those who cannot see it."""
    for cell in notebook.cells:
        drawn = any("image/svg+xml" in output.get("data", {}) for output in cell.get("outputs", ()))
        if drawn and "fig-cap" in cell.metadata.options and not cell.metadata.options.get("fig-alt"):
            place = f"{notebook.metadata.name}:{cell.metadata.line}"
            yield f"{place}: {title(cell)} draws a figure, but has no fig-alt."


def _cell(cell: NotebookNode, format_name: str, folder: Path, notebook: NotebookNode) -> str:
    options = cell.metadata.options
    if options.get("include") is False:
        return ""
    shown = [_output(output, cell, format_name, folder, notebook) for output in cell.outputs]
    if cell.metadata.inline:
        return "".join(shown)
    text, caption = "\n\n".join(filter(None, shown)), options.get("fig-cap") or options.get("tbl-cap")
    if text and caption:
        opening = f"::::: {{#{options['label']} .headstart-float}}"
        text = f"{opening}\n\n{text}\n\n::: headstart-caption\n{caption}\n:::\n:::::"
    return f"\n\n{text}\n\n"


def _output(
    output: NotebookNode, cell: NotebookNode, format_name: str, folder: Path, notebook: NotebookNode
) -> str:
    data = output.get("data", {})
    if "image/svg+xml" in data and "fig-cap" in cell.metadata.options:
        return _picture(data["image/svg+xml"], cell.metadata.options, format_name, folder)
    if "text/markdown" in data and "fig-cap" not in cell.metadata.options:
        return str(data["text/markdown"])
    if "text/plain" in data and cell.metadata.inline:
        return escape_markdown(_unquoted(data["text/plain"]))
    if output.output_type == "stream" and output.name == "stderr":
        return ""  # warnings
    raise RenderError(
        f"{notebook.metadata.name}:{cell.metadata.line}: {title(cell)} shows "
        f"{', '.join(data) or 'what it prints'}, which has no place on the page and on paper; end it with "
        "Markdown, or with a Figure where its label is 'fig-…'."
    )


def _unquoted(text: str) -> str:
    """Return a string's content for its repr, which is what a kernel sends."""
    return str(ast.literal_eval(text)) if text[:1] in ("'", '"') else text


def _picture(svg: str, options: Mapping[str, str], format_name: str, folder: Path) -> str:
    """Return a drawing as raw HTML that holds it, or as Typst that reads it from a file."""
    alternative = options.get("fig-alt", "")
    if format_name == "html":
        address = f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"
        return f'```{{=html}}\n<img src="{address}" alt="{html.escape(alternative)}">\n```'
    path = folder / f"{options['label']}.svg"
    path.write_text(svg, encoding="utf-8")
    described = f", alt: {json.dumps(alternative, ensure_ascii=False)}" if alternative else ""
    return f'```{{=typst}}\n#box(image("{path.name}"{described}))\n```'
