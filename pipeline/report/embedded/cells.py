"""The Divs that ``assembly`` left for cells become code, outputs, figures and tables."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.errors import RenderError
from pipeline.report.embedded.assembly import RawHtml, visible_outputs
from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.document import Cell, Document
from pipeline.report.embedded.outputs import Output
from pipeline.report.embedded.tree import (
    Node,
    attr,
    attributes,
    blocks_of,
    classes,
    div,
    has_class,
    identifier,
    node,
    raw,
    walk,
)

Captions = dict[str, list[list[Node]]]


@dataclass(frozen=True)
class CellBuilder:
    """Builds the blocks of each cell of one document in one format."""

    document: Document
    outputs: Mapping[int, list[Output]]
    configuration: Configuration
    html: RawHtml

    def build(self, blocks: list[Node]) -> list[Node]:
        """Return blocks in which each cell has its final shape."""
        built: list[Node] = walk(blocks, self._visit)
        return built

    def _visit(self, element: Node) -> list[Node]:
        if not has_class(element, "Div", "headstart-cell"):
            return [element]
        number = int(attributes(element)["block"])
        cell = self.document.blocks[number]
        assert isinstance(cell, Cell)
        shown = visible_outputs(cell, self.outputs.get(number, []), self.configuration)
        blocks = [*self._code(cell), *self._results(cell, shown, blocks_of(element))]
        return [div(blocks, "", "cell", *_texts(cell.option("classes", [])))] if blocks else []

    def _code(self, cell: Cell) -> list[Node]:
        if not (self.configuration.execute("echo", cell) and self.configuration.execute("include", cell)):
            return []
        code = node("CodeBlock", attr("", ["python", "cell-code"]), cell.source)
        fold = cell.option("code-fold", self.configuration.get("code-fold", False))
        if not fold or not cell.source or self.configuration.format != "html":
            return [code] if cell.source else []
        summary = cell.option("code-summary", self.configuration.get("code-summary", "Code"))
        opening = f'<details class="code-fold"{" open" if fold == "show" else ""}>\n<summary>'
        words = node("Plain", [node("Str", summary)])
        return [raw("html", opening), words, raw("html", "</summary>"), code, raw("html", "</details>")]

    def _results(self, cell: Cell, shown: list[Output], inner: list[Node]) -> list[Node]:
        captions = _captions(inner)
        bodies = [blocks_of(block) for block in inner if has_class(block, "Div", "headstart-output")]
        if not shown:
            return []
        if cell.label.startswith("fig-"):
            return self._figure(cell, shown, bodies, captions)
        results = self._plain(cell, shown, bodies, captions.get("fig-cap", []))
        if cell.label.startswith("tbl-"):
            tables = _with_widths(results, cell.option("tbl-colwidths"))
            return [make_float("tbl", cell.label, captions["tbl-cap"][0], tables)]
        return _laid_out(cell, results)

    def _plain(
        self, cell: Cell, shown: list[Output], bodies: list[list[Node]], captions: list[list[Node]]
    ) -> list[Node]:
        """Return outputs without a number; an image may still have a caption."""
        results: list[Node] = []
        images = 0
        for output, body in zip(shown, bodies, strict=True):
            if output.kind != "image":
                results.append(self._output(cell, output, body))
                continue
            picture = _image(output, _nth(cell.option("fig-alt", ""), images))
            caption = captions[images] if images < len(captions) else []
            content = [make_float("fig", "", caption, [picture])] if caption else [picture]
            results.append(_output_div(content, "display"))
            images += 1
        return results

    def _figure(
        self, cell: Cell, shown: list[Output], bodies: list[list[Node]], captions: Captions
    ) -> list[Node]:
        """Return the outputs of a labelled figure; several images are its parts (a), (b), ..."""
        images = [output for output in shown if output.kind == "image"]
        others = [self._output(cell, o, b) for o, b in zip(shown, bodies, strict=True) if o.kind != "image"]
        if not images:
            raise self._wrong(cell, "displayed no figure; end it with the figure")
        pictures = [_image(o, _nth(cell.option("fig-alt", ""), n)) for n, o in enumerate(images)]
        caption = captions["fig-cap"][0]
        if len(images) == 1:
            return [*others, _output_div([make_float("fig", cell.label, caption, pictures)], "display")]
        parts = captions.get("fig-subcap", [])
        if len(parts) != len(images):
            raise self._wrong(cell, f"displayed {len(images)} figures, but has {len(parts)} fig-subcap")
        subfloats = [
            make_float("sub", f"{cell.label}-{number}", part, [picture])
            for number, (part, picture) in enumerate(zip(parts, pictures, strict=True), start=1)
        ]
        return [*others, make_float("fig", cell.label, caption, _laid_out(cell, subfloats))]

    def _output(self, cell: Cell, output: Output, body: list[Node]) -> Node:
        if output.kind == "markdown" or body:
            return _output_div(body, "display", "cell-output-markdown")
        if output.kind == "html":
            stored = raw("html", self.html.store(output.content))
            return div(
                [stored], "", "cell-output", "cell-output-display", "headstart-html", line=str(cell.line)
            )
        code = node("CodeBlock", attr(), output.content.rstrip("\n"))
        return _output_div([code], "display" if output.kind == "text" else output.kind)

    def _wrong(self, cell: Cell, problem: str) -> RenderError:
        return RenderError(f"{self.document.name}:{cell.line}: {cell} {problem}.")


def make_float(kind: str, label: str, caption: list[Node], content: list[Node]) -> Node:
    """Return the neutral form of a figure ("fig"), a table ("tbl") or a part of a figure ("sub")."""
    captioned = [div(caption, "", "headstart-float-caption"), *content]
    return div(captioned, label, "headstart-float", kind=kind)


def _captions(inner: list[Node]) -> Captions:
    captions: Captions = {}
    for block in inner:
        if has_class(block, "Div", "headstart-caption"):
            captions.setdefault(attributes(block)["key"], []).append(blocks_of(block))
    return captions


def _laid_out(cell: Cell, results: list[Node]) -> list[Node]:
    columns = cell.option("layout-ncol")
    return [div(results, "", layout_ncol=str(columns))] if columns else results


def _output_div(blocks: list[Node], kind: str, *classes: str) -> Node:
    return div(blocks, "", "cell-output", f"cell-output-{kind}", *classes)


def _with_widths(blocks: list[Node], widths: list[float] | None) -> list[Node]:
    """Return blocks whose tables have a cell's ``tbl-colwidths``."""

    def visit(element: Node) -> list[Node]:
        if element["t"] != "Table" or not widths:
            return [element]
        own = attr(identifier(element), classes(element), {"tbl-colwidths": str(widths)})
        return [node("Table", own, *element["c"][1:])]

    changed: list[Node] = walk(blocks, visit)
    return changed


def _image(output: Output, alt: str) -> Node:
    return node(
        "Plain", [node("Image", attr("", [], {"fig-alt": alt} if alt else {}), [], [output.content, ""])]
    )


def _nth(value: str | list[str], number: int) -> str:
    if isinstance(value, str):
        return value
    return value[number] if number < len(value) else ""


def _texts(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value
