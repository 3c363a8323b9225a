"""Figures, callouts and columns as both formats read them, before either writes its markup."""

import json

from pipeline.report.embedded.tree import (
    Node,
    attributes,
    blocks_of,
    classes,
    div,
    has_class,
    node,
    text,
    walk,
)

CALLOUT_WORDS = {
    "note": "Note",
    "tip": "Tip",
    "warning": "Warning",
    "important": "Important",
    "caution": "Caution",
}


def float_parts(element: Node) -> tuple[list[Node], list[Node]]:
    """Return the inlines of a neutral float's caption, and its content."""
    caption, *content = blocks_of(element)
    inlines: list[Node] = []
    for block in blocks_of(caption):
        inlines += [*([{"t": "Space"}] if inlines else []), *block["c"]]
    return inlines, content


def callout_kind(element: Node) -> str:
    """Return "note", "tip", ... for a callout, or an empty string."""
    return next(
        (name.removeprefix("callout-") for name in classes(element) if name.startswith("callout-")), ""
    )


def callout_parts(element: Node) -> tuple[list[Node], list[Node]]:
    """Return a callout's title as inlines (empty when it has none) and its content."""
    blocks = blocks_of(element)
    if "title" in attributes(element):
        return text(attributes(element)["title"]), blocks
    if blocks and has_class(blocks[0], "Div", "headstart-callout-title"):
        return blocks_of(blocks[0])[0]["c"], blocks[1:]
    return [], blocks


def mark_callouts(blocks: list[Node]) -> list[Node]:
    """Return blocks in which the titles of callouts are no longer headings, and so get no number."""

    def visit(element: Node) -> list[Node]:
        inner = blocks_of(element) if element["t"] == "Div" and callout_kind(element) else []
        if not inner or inner[0]["t"] != "Header":
            return [element]
        title = div([node("Plain", inner[0]["c"][2])], "", "headstart-callout-title")
        return [node("Div", element["c"][0], [title, *inner[1:]])]

    marked: list[Node] = walk(blocks, visit)
    return marked


def column_widths(table_attributes: dict[str, str]) -> list[float]:
    """Return the shares of a table's ``tbl-colwidths``, which sum to 1."""
    widths = json.loads(table_attributes.get("tbl-colwidths", "[]"))
    return [float(width) / sum(widths) for width in widths]


def layout_children(blocks: list[Node]) -> list[Node]:
    """Return what takes one column each: every block, and each of several images in a paragraph."""
    children: list[Node] = []
    for block in blocks:
        images = [i for i in block["c"] if i["t"] == "Image"] if block["t"] == "Para" else []
        others = [i for i in block["c"] if i["t"] not in ("Image", "Space", "SoftBreak")] if images else []
        if len(images) > 1 and not others:
            children += [node("Para", [image]) for image in images]
        else:
            children.append(block)
    return children
