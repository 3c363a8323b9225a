"""The HTML page: one file that holds its styles, scripts and pictures.

Its skeleton is the one that Quarto writes with ``theme: none``, so that one style sheet fits both.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nbformat import NotebookNode

from pipeline.report.render import markdown, options, pandoc


def write(notebook: NotebookNode, found: Mapping[str, Any], root: Path, folder: Path) -> bytes:
    """Return the page; files that the options ``found`` name are looked for in ``root``."""
    text = markdown.write(notebook, "html", folder)
    arguments: list[str | Path] = ["--to", "html5", "--standalone", "--template", pandoc.HERE / "page.html"]
    for name in ("lang", "pagetitle"):
        arguments += ["--metadata", f"{name}={found.get(name, '')}"]
    if found.get("toc"):
        arguments += ["--toc", "--toc-depth", str(found.get("toc-depth", 3))]
    return pandoc.convert(text, notebook, *arguments, *_includes(found, root, folder)).encode()


def _includes(found: Mapping[str, Any], root: Path, folder: Path) -> Iterator[str | Path]:
    for name in ("include-in-header", "include-before-body", "include-after-body"):
        if path := options.file_of(found, name, root):
            yield from (f"--{name}", path)
    if css := options.file_of(found, "css", root):
        style = folder / "style.html"
        style.write_text(f"<style>\n{css.read_text(encoding='utf-8')}</style>", encoding="utf-8")
        yield from ("--include-in-header", style)
