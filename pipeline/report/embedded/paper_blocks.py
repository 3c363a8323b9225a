"""Figures, tables, callouts, tabs and columns as Typst, with the names that Quarto's template uses."""

from collections.abc import Iterator

from pipeline.errors import RenderError
from pipeline.report.embedded.neutral import (
    CALLOUT_WORDS,
    callout_kind,
    callout_parts,
    column_widths,
    float_parts,
    layout_children,
)
from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.tabsets import tabs_of
from pipeline.report.embedded.tree import (
    Node,
    attr,
    attributes,
    blocks_of,
    classes,
    group,
    identifier,
    node,
    plain_text,
    raw,
    raw_inline,
    text,
    ungrouped,
    walk,
)


class PaperBlocks:
    """Gives each neutral block of one document its Typst."""

    def __init__(self, origins: Origins) -> None:
        self.origins = origins

    def write(self, blocks: list[Node]) -> list[Node]:
        """Return blocks that Pandoc's Typst writer can write."""
        written: list[Node] = walk(blocks, self._visit)
        return ungrouped(written)

    def _visit(self, element: Node) -> list[Node]:
        kind = element["t"]
        if kind == "Image":
            return [_image(element)]
        if kind == "Math":
            return _formula(element)
        if kind == "CodeBlock":
            return [_code(element)]
        if kind == "Table":
            return [_table(element)]
        return self._div(element) if kind == "Div" else [element]

    def _div(self, element: Node) -> list[Node]:
        names = classes(element)
        if "headstart-html" in names:
            raise self._only_html(attributes(element)["line"])
        if "headstart-float" in names:
            return group(_float(element))
        if "headstart-pagebreak" in names:
            return [raw("typst", "#pagebreak()")]
        if "panel-tabset" in names:
            return group(_tabset(element))
        if kind := callout_kind(element):
            return group(_callout(element, kind))
        if "layout-ncol" in attributes(element):
            return group(_columns(element))
        if any(name.startswith("headstart-") for name in names):
            return [element]
        return group([*_anchor(identifier(element)), *blocks_of(element)])

    def _only_html(self, line: str) -> RenderError:
        return RenderError(
            f"{self.origins.document.name}:{line}: the cell displays HTML, which the PDF would lack; display "
            'Markdown, or put the cell between ::: {.content-visible when-format="html"} and :::.'
        )


def quoted(words: str) -> str:
    """Return a Typst string literal."""
    return '"' + words.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ") + '"'


def _anchor(label: str) -> list[Node]:
    """Return a place that a link can lead to; a label on a block cannot be cited."""
    return [raw("typst", f"#metadata(none) <{label}>")] if label else []


def _float(element: Node) -> Iterator[Node]:
    caption, content = float_parts(element)
    label, kind = identifier(element), attributes(element)["kind"]
    position = "top" if kind == "tbl" else "bottom"
    numbered = {
        "fig": 'kind: "quarto-float-fig", supplement: "Figure"',
        "tbl": 'kind: "quarto-float-tbl", supplement: "Table"',
        "sub": 'kind: "quarto-subfloat-fig", supplement: [], numbering: "(a)"',
    }[kind]
    if not label:
        numbered = 'kind: "quarto-unnumbered", supplement: none, numbering: none'
    if kind == "fig" and label:
        yield raw("typst", '#counter(figure.where(kind: "quarto-subfloat-fig")).update(0)')
    yield raw("typst", "#figure([")
    yield from content
    closing = f"]), {numbered})" + (f" <{label}>" if label else "")
    opening = raw_inline("typst", f"], caption: figure.caption(position: {position}, [")
    yield node("Plain", [opening, *caption, raw_inline("typst", closing)])


def _tabset(element: Node) -> Iterator[Node]:
    """Yield each tab under its heading, which has no number, as on the page."""
    for tab in tabs_of(element):
        level = next(int(attributes(b)["level"]) for b in blocks_of(element) if attributes(b).get("level"))
        yield node("Header", level, attr(tab.identifier, ["unnumbered", "unlisted"]), tab.title)
        yield from tab.content


def _callout(element: Node, kind: str) -> Iterator[Node]:
    title, content = callout_parts(element)
    yield from _anchor(identifier(element))
    yield raw("typst", f'#callout(kind: "{kind}", title: [')
    yield node("Plain", title or text(CALLOUT_WORDS[kind]))
    yield raw("typst", "], body: [")
    yield from content
    yield raw("typst", "])")


def _columns(element: Node) -> Iterator[Node]:
    count = attributes(element)["layout-ncol"]
    yield from _anchor(identifier(element))
    yield raw("typst", f"#grid(columns: (1fr,) * {count}, column-gutter: 1em, row-gutter: 1em,")
    for child in layout_children(blocks_of(element)):
        yield raw("typst", "[")
        yield child
        yield raw("typst", "],")
    yield raw("typst", ")")


def _image(element: Node) -> Node:
    _, inlines, (path, _) = element["c"]
    own = attributes(element)
    alt = own.get("fig-alt", own.get("alt", plain_text(inlines)))
    sizes = "".join(f", {name}: {_length(own[name])}" for name in ("width", "height") if name in own)
    described = f", alt: {quoted(alt)}" if alt else ""
    return raw_inline("typst", f"#box(image({quoted(path)}{sizes}{described}))")


def _length(value: str) -> str:
    """Return a length as Typst writes it; a pixel of CSS is three quarters of a point."""
    pixels = value.removesuffix("px")
    return f"{float(pixels) * 0.75}pt" if pixels.replace(".", "", 1).isdigit() else value


def _formula(element: Node) -> list[Node]:
    """Return a formula whose alternative text is its TeX source."""
    return [raw_inline("typst", f"#formula({quoted(element['c'][1])})["), element, raw_inline("typst", "]")]


def _code(element: Node) -> Node:
    language = next(iter(classes(element)), "")
    named = f", lang: {quoted(language)}" if language else ""
    source = element["c"][1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return raw("typst", f'#raw(block: true{named}, "{source}")')


def _table(element: Node) -> Node:
    _, caption, columns, *rest = element["c"]
    widths = column_widths(attributes(element))
    if len(widths) == len(columns):
        columns = [[align, node("ColWidth", w)] for (align, _), w in zip(columns, widths, strict=True)]
    return node("Table", attr("", ["typst:no-figure"]), caption, columns, *rest)
