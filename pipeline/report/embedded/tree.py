"""Small tools for Pandoc's syntax tree, which is JSON: ``{"t": type, "c": content}``."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

Node = dict[str, Any]
Attributes = dict[str, str]
Visit = Callable[[Node], list[Node]]


def walk(value: Any, visit: Visit) -> Any:
    """Return a copy of a tree in which each node, innermost first, became what ``visit`` returns."""
    if isinstance(value, dict):
        return {key: walk(content, visit) for key, content in value.items()}
    if not isinstance(value, list):
        return value
    result: list[Any] = []
    for item in value:
        changed = walk(item, visit)
        result.extend(visit(changed) if is_node(changed) else [changed])
    return result


def nodes(value: Any) -> Iterator[Node]:
    """Yield every node of a tree in the order of the document."""
    if isinstance(value, dict):
        if is_node(value):
            yield value
        for content in value.values():
            yield from nodes(content)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def is_node(value: Any) -> bool:
    """Whether a JSON value is a node of the tree."""
    return isinstance(value, dict) and "t" in value


def node(kind: str, *content: Any) -> Node:
    """Return a node; several contents become a list, as Pandoc has it."""
    return {"t": kind, "c": content[0] if len(content) == 1 else list(content)}


def attr(
    identifier: str = "", classes: list[str] | None = None, attributes: Attributes | None = None
) -> list[Any]:
    """Return Pandoc's attribute triple."""
    return [identifier, classes or [], [[k, v] for k, v in (attributes or {}).items()]]


def div(blocks: list[Node], identifier: str = "", *classes: str, **attributes: str) -> Node:
    """Return a Div; underscores in the names of attributes become hyphens."""
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return node("Div", attr(identifier, list(classes), named), blocks)


def group(blocks: Iterable[Node]) -> list[Node]:
    """Return blocks as one, so that columns count them as one, until ``ungrouped``."""
    return [div(list(blocks), "", "headstart-group")]


def ungrouped(blocks: list[Node]) -> list[Node]:
    """Return blocks with what ``group`` made taken apart."""
    spread: list[Node] = walk(
        blocks, lambda e: blocks_of(e) if has_class(e, "Div", "headstart-group") else [e]
    )
    return spread


def raw(format_name: str, text: str) -> Node:
    """Return a raw block."""
    return node("RawBlock", format_name, text)


def raw_inline(format_name: str, text: str) -> Node:
    """Return a raw inline."""
    return node("RawInline", format_name, text)


def text(words: str) -> list[Node]:
    """Return plain text as inlines."""
    parts: list[Node] = []
    for word in words.split(" "):
        parts += [{"t": "Space"}, node("Str", word)]
    return parts[1:]


def identifier(element: Node) -> str:
    """Return the id of a Div, Span, Figure, Table, Header, CodeBlock or Image."""
    return str(_attr(element)[0])


def classes(element: Node) -> list[str]:
    """Return the classes of an element with attributes."""
    return list(_attr(element)[1])


def attributes(element: Node) -> Attributes:
    """Return the key-value attributes of an element."""
    return dict(_attr(element)[2])


def has_class(element: Node, kind: str, name: str) -> bool:
    """Whether an element is of a kind and has a class."""
    return element["t"] == kind and name in classes(element)


def blocks_of(element: Node) -> list[Node]:
    """Return the blocks inside a Div or Figure."""
    blocks: list[Node] = element["c"][-1]
    return blocks


def plain_text(value: Any) -> str:
    """Return the words of a tree without markup."""
    words = {"Str": None, "Space": " ", "SoftBreak": " ", "LineBreak": " "}
    pieces = []
    for found in nodes(value):
        if found["t"] in ("Str", "Code", "Math"):
            pieces.append(found["c"] if found["t"] == "Str" else found["c"][-1])
        elif found["t"] in words:
            pieces.append(words[found["t"]] or "")
    return "".join(pieces)


def _attr(element: Node) -> list[Any]:
    content = element["c"]
    triple: list[Any] = content[1] if element["t"] == "Header" else content[0]
    return triple
