"""The list of contents beside the page, in Quarto's markup."""

from collections.abc import Iterator
from html import escape

from pipeline.report.embedded.references import Label
from pipeline.report.embedded.tree import Node, classes, identifier, node, nodes, raw, raw_inline, walk


def contents(blocks: list[Node], labels: dict[str, Label], depth: int, numbered: bool) -> list[Node]:
    """Return the headings down to ``depth`` as a nested list of links."""
    level = 0
    result: list[Node] = []
    for header in _listed(blocks, depth):
        wanted = min(header["c"][0], level + 1)
        deeper = wanted > level
        opening = "<ul>\n<li>" if deeper else "</li>\n</ul>\n" * (level - wanted) + "</li>\n<li>"
        number = labels[identifier(header)].number if numbered and identifier(header) in labels else ""
        result += [raw("html", opening), _entry(header, number)]
        level = wanted
    return [*result, raw("html", "</li>\n</ul>\n" * level)]


def _listed(blocks: list[Node], depth: int) -> Iterator[Node]:
    for element in nodes(blocks):
        if element["t"] == "Header" and element["c"][0] <= depth and "unlisted" not in classes(element):
            yield element


def _entry(header: Node, number: str) -> Node:
    target = escape(identifier(header))
    opening = f'<a href="#{target}" id="toc-{target}" class="nav-link" data-scroll-target="#{target}">'
    shown = f'<span class="header-section-number">{number}</span> ' if number else ""
    words = walk(header["c"][2], _without_links)
    return node("Plain", [raw_inline("html", opening + shown), *words, raw_inline("html", "</a>")])


def _without_links(element: Node) -> list[Node]:
    """A link cannot hold a link, nor the contents a footnote."""
    if element["t"] == "Note":
        return []
    inner: list[Node] = element["c"][1] if element["t"] == "Link" else [element]
    return inner
