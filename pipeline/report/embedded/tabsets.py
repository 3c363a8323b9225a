"""Tabs: the headings inside a ``panel-tabset`` and what stands below each."""

from dataclasses import dataclass, field

from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.tree import Node, blocks_of, div, has_class, identifier, node, walk


@dataclass
class Tab:
    """One tab: its title as inlines, and its blocks."""

    title: list[Node]
    identifier: str
    content: list[Node] = field(default_factory=list)


def mark_tabs(blocks: list[Node], origins: Origins) -> list[Node]:
    """Return blocks in which the headings of tabs are no longer headings, and so get no number."""

    def visit(element: Node) -> list[Node]:
        if not has_class(element, "Div", "panel-tabset"):
            return [element]
        inner = blocks_of(element)
        if not inner or inner[0]["t"] != "Header":
            raise origins.wrong(
                "a panel-tabset must start with the heading of its first tab.", "panel-tabset"
            )
        return [div(_marked(inner, inner[0]["c"][0]), identifier(element), "panel-tabset")]

    marked: list[Node] = walk(blocks, visit)
    return marked


def tabs_of(tabset: Node) -> list[Tab]:
    """Return the tabs of a tabset that ``mark_tabs`` has seen."""
    return [
        Tab(blocks_of(block)[0]["c"], identifier(block), blocks_of(block)[1:])
        for block in blocks_of(tabset)
        if has_class(block, "Div", "headstart-tab")
    ]


def _marked(blocks: list[Node], level: int) -> list[Node]:
    tabs: list[Tab] = []
    for block in blocks:
        if block["t"] == "Header" and block["c"][0] == level:
            tabs.append(Tab(block["c"][2], block["c"][1][0]))
        else:
            tabs[-1].content.append(block)
    return [
        div([node("Plain", tab.title), *tab.content], tab.identifier, "headstart-tab", level=str(level))
        for tab in tabs
    ]
