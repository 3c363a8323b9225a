"""The list of contents of the page, in Quarto's markup."""

from collections.abc import Mapping
from html import escape

from pipeline.report.embedded.headings import top_level
from pipeline.report.embedded.tree import Node, classes, identifier, node, nodes, raw, raw_inline, walk


def contents(blocks: list[Node], numbers: Mapping[str, str], depth: int) -> list[Node]:
    """Return the headings down to ``depth`` as a nested list of links."""
    base, level = top_level(blocks), 0
    result: list[Node] = []
    for header in nodes(blocks):
        if header["t"] != "Header" or header["c"][0] > depth or "unlisted" in classes(header):
            continue
        wanted = min(header["c"][0] - base + 1, level + 1)
        deeper = wanted > level
        opening = "<ul>\n<li>" if deeper else "</li>\n</ul>\n" * (level - wanted) + "</li>\n<li>"
        result += [raw("html", opening), _entry(header, numbers.get(identifier(header), ""))]
        level = wanted
    return [*result, raw("html", "</li>\n</ul>\n" * level)]


def _entry(header: Node, number: str) -> Node:
    target = escape(identifier(header))
    shown = f'<span class="header-section-number">{number}</span> ' if number else ""
    opening = raw_inline("html", f'<a href="#{target}" id="toc-{target}">{shown}')
    return node("Plain", [opening, *walk(header["c"][2], _without_links), raw_inline("html", "</a>")])


def _without_links(element: Node) -> list[Node]:
    """A link cannot hold a link, nor the contents a footnote."""
    if element["t"] == "Note":
        return []
    inner: list[Node] = element["c"][1] if element["t"] == "Link" else [element]
    return inner
