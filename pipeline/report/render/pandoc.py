"""Pandoc from the pypandoc-binary wheel, with the filter that does what Quarto's own filters do."""

import functools
import json
import re
import subprocess
from pathlib import Path

import pypandoc
from nbformat import NotebookNode

from pipeline.errors import RenderError, one_line
from pipeline.report.render.notebook import line_of
from pipeline.report.render.options import unsupported

HERE = Path(__file__).parent
READER = "markdown-implicit_figures"
REFUSED = re.compile(r"^REFUSED (.*)$", re.MULTILINE)


@functools.cache
def program() -> Path:
    """Return the Pandoc of the wheel; another one on the PATH may be older."""
    bundled = Path(pypandoc.__file__).parent / "files" / "pandoc"
    found = next((path for path in (bundled, bundled.with_suffix(".exe")) if path.is_file()), None)
    try:
        return found or Path(pypandoc.get_pandoc_path())
    except OSError:
        raise RenderError(
            "Pandoc is missing; run 'pip install pypandoc-binary' in Headstart's Python."
        ) from None


@functools.cache
def version() -> str:
    """Return Pandoc's version, as "3.9"."""
    done = subprocess.run([program(), "--version"], capture_output=True, encoding="utf-8", check=True)
    return done.stdout.split()[1]


def convert(text: str, notebook: NotebookNode, *options: str | Path) -> str:
    """Return Markdown, made from a notebook, in the format that the options name.

    Raises UnsupportedSyntaxError or RenderError, by its line, for what the filter does not take.
    """
    command = [program(), "--from", READER, "--wrap", "none", "--lua-filter", HERE / "filter.lua", *options]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise _explained(done.stderr, notebook)
    return done.stdout


def _explained(stderr: str, notebook: NotebookNode) -> Exception:
    """Return the error for what the filter said, which names a piece of the text but no line."""
    refused = REFUSED.search(stderr)
    if not refused:
        return RenderError(f"Pandoc failed: {one_line(stderr)}")
    said = json.loads(refused[1])
    place = f"{notebook.metadata.name}:{line_of(notebook, said['fragment'])}"
    if said["wrong"]:
        return RenderError(f"{place}: {one_line(said['what'])}")
    return unsupported(place, said["what"])
