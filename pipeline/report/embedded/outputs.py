"""What a cell displayed, in the few kinds that a page and a PDF can both show."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nbformat import NotebookNode

from pipeline.report.embedded.document import Cell, Document
from pipeline.report.embedded.execution import ANSI, Results
from pipeline.report.embedded.subset import refuse

Kind = Literal["image", "markdown", "html", "text", "stdout", "stderr"]

IMAGES = {"image/svg+xml": "svg", "image/png": "png", "image/jpeg": "jpg"}
TEXTS: dict[str, Kind] = {"text/markdown": "markdown", "text/html": "html", "text/plain": "text"}
SVG_METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
# What matplotlib and seaborn calls return; Quarto hides such values too.
DISCARDED = re.compile(
    r"^\[?<(matplotlib|seaborn|Axes|Figure)|^\[?Text\(|^\(?array\(.*<matplotlib", re.DOTALL
)


@dataclass(frozen=True)
class Output:
    """One thing a cell displayed; ``content`` of an image is its path relative to the work folder."""

    kind: Kind
    content: str


def read_outputs(document: Document, results: Results, folder: Path) -> dict[int, list[Output]]:
    """Return the outputs of every cell by block number; images are written to ``folder``/figures.

    Raises UnsupportedSyntaxError for a kind of output, such as JavaScript, that has no place in a PDF.
    """
    (folder / "figures").mkdir(exist_ok=True)
    read: dict[int, list[Output]] = {}
    for number, notebook_outputs in results.outputs.items():
        cell = document.blocks[number]
        assert isinstance(cell, Cell)
        stem = f"figures/{re.sub(r'[^A-Za-z0-9-]', '-', cell.label) or f'cell-{number}'}"
        found = list(_outputs(notebook_outputs, document.name, cell, folder, stem))
        read[number] = _joined(found)
    return read


def _outputs(items: list[NotebookNode], name: str, cell: Cell, folder: Path, stem: str) -> Iterator[Output]:
    for number, item in enumerate(items, start=1):
        if item.output_type == "stream":
            yield Output("stdout" if item.name == "stdout" else "stderr", ANSI.sub("", item.text))
        elif item.output_type in ("display_data", "execute_result"):
            yield from _display(item.data, name, cell, folder, f"{stem}-{number}")


def _display(data: NotebookNode, name: str, cell: Cell, folder: Path, stem: str) -> Iterator[Output]:
    image = next((kind for kind in IMAGES if kind in data), None)
    words = next((kind for kind in TEXTS if kind in data), None)
    if image:
        path = f"{stem}.{IMAGES[image]}"
        (folder / path).write_bytes(_image_bytes(image, data[image]))
        yield Output("image", path)
    elif words:
        if words != "text/plain" or not DISCARDED.match(data[words]):
            yield Output(TEXTS[words], ANSI.sub("", data[words]))
    elif data:
        raise refuse(name, cell.line, f"{cell} displays {', '.join(data)}, which", (*IMAGES, *TEXTS))


def _image_bytes(kind: str, content: str) -> bytes:
    if kind == "image/svg+xml":
        return SVG_METADATA.sub("", content).encode()
    return base64.b64decode(content)


def _joined(outputs: list[Output]) -> list[Output]:
    """Join what was printed in several pieces."""
    joined: list[Output] = []
    for output in outputs:
        if joined and output.kind in ("stdout", "stderr") and joined[-1].kind == output.kind:
            joined[-1] = Output(output.kind, joined[-1].content + output.content)
        else:
            joined.append(output)
    return joined
