"""Pandoc from the pypandoc-binary wheel: Markdown to its syntax tree, and the tree to text."""

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import pypandoc

from pipeline.errors import RenderError, one_line

API = (1, 23, 1)
READ = ("--from", "markdown", "--to", "json")
WRITE = {
    "html": ("--from", "json", "--to", "html5", "--mathml"),
    "typst": ("--from", "json", "--to", "typst"),
}


def read_markdown(text: str) -> dict[str, Any]:
    """Return Pandoc's syntax tree of Markdown, as the JSON that Pandoc documents."""
    tree: dict[str, Any] = json.loads(_pandoc(READ, text))
    return tree


def write(blocks: list[Any], format_name: str) -> str:
    """Return blocks of a syntax tree in "html" or "typst"."""
    tree = {"pandoc-api-version": API, "meta": {}, "blocks": blocks}
    return _pandoc((*WRITE[format_name], "--wrap", "none"), json.dumps(tree))


@functools.cache
def program() -> Path:
    """Return the Pandoc of the wheel; another one on the PATH may be older."""
    bundled = Path(pypandoc.__file__).parent / "files" / "pandoc"
    candidates = (bundled, bundled.with_suffix(".exe"))
    return next((path for path in candidates if path.is_file()), None) or _elsewhere()


@functools.cache
def version() -> str:
    """Return Pandoc's version, as "3.9"."""
    first = _pandoc(("--version",), "").splitlines()[0]
    return first.split()[-1]


def _elsewhere() -> Path:
    try:
        return Path(pypandoc.get_pandoc_path())
    except OSError:
        raise RenderError(
            "Pandoc is missing; run 'pip install pypandoc-binary' in Headstart's Python."
        ) from None


def _pandoc(arguments: tuple[str, ...], text: str) -> str:
    done = subprocess.run(
        [str(program()), *arguments], input=text, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        raise RenderError(f"Pandoc failed: {one_line(done.stderr)}")
    return done.stdout
