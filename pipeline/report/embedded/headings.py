"""The levels and numbers of headings, the same on the page and on paper."""

from collections.abc import Mapping

from pipeline.report.embedded.tree import Node, classes, identifier, node, nodes, raw_inline, walk


def top_level(blocks: list[Node]) -> int:
    """Return 1, or 2 in a document that leaves level 1 to its title, as Quarto counts."""
    levels = [element["c"][0] for element in nodes(blocks) if element["t"] == "Header"]
    return 2 if levels and min(levels) > 1 else 1


def section_numbers(blocks: list[Node]) -> dict[str, str]:
    """Return the number of each heading that is not ``.unnumbered``, by its id."""
    base = top_level(blocks)
    counts: list[int] = []
    numbers: dict[str, str] = {}
    for header in nodes(blocks):
        if header["t"] == "Header" and "unnumbered" not in classes(header):
            level = header["c"][0] - base + 1
            counts = [*counts, *([0] * level)][:level]
            counts[-1] += 1
            numbers[identifier(header)] = ".".join(map(str, counts))
    return numbers


def with_numbers(blocks: list[Node], numbers: Mapping[str, str]) -> list[Node]:
    """Return blocks whose headings show their numbers, in Quarto's markup."""

    def visit(element: Node) -> list[Node]:
        number = numbers.get(identifier(element), "") if element["t"] == "Header" else ""
        if not number:
            return [element]
        level, (label, names, pairs), words = element["c"]
        shown = raw_inline("html", f'<span class="header-section-number">{number}</span> ')
        return [node("Header", level, [label, names, [*pairs, ["data-number", number]]], [shown, *words])]

    numbered: list[Node] = walk(blocks, visit)
    return numbered


def on_paper(blocks: list[Node]) -> list[Node]:
    """Return blocks whose headings start at level 1, which a PDF needs under its title."""
    shift = top_level(blocks) - 1

    def visit(element: Node) -> list[Node]:
        if element["t"] != "Header":
            return [element]
        level, *rest = element["c"]
        return [node("Header", level - shift, *rest)]

    shifted: list[Node] = walk(blocks, visit)
    return shifted
