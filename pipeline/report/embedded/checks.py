"""Refuse what Pandoc understood but Quarto would treat in a way that this renderer does not."""

import re

from pipeline.report.embedded.assembly import RawHtml
from pipeline.report.embedded.origins import Origins
from pipeline.report.embedded.tree import (
    Node,
    attributes,
    blocks_of,
    classes,
    identifier,
    nodes,
    plain_text,
    walk,
)

CALLOUTS = ("note", "tip", "warning", "important", "caution")
WITH_ATTRIBUTES = ("Div", "Span", "Header", "Image", "Link", "Code", "CodeBlock", "Table", "Figure")

# Classes to which Quarto gives a meaning beyond CSS.
MEANINGFUL = re.compile(
    r"^(column-.+|panel-(?!tabset$).+|aside|hidden|landscape|incremental|nonincremental|fragment|notes|"
    r"grid|g-col-.+|appendix|margin-caption|fig-cap-.+|tbl-cap-.+|lightbox|proof|remark|solution|line-block|"
    r"when-.+|unless-.+|cell-output-error|quarto-.+|kbd|ojs-.+|listing|theorem|content-(?!visible$|hidden$).+)$"
)
REFERENCES = ("fig", "tbl", "sec")
OTHER_REFERENCES = re.compile(r"^(eq|lst|thm|lem|cor|prp|cnj|def|exm|exr|sol|rem|alg|nte|tip|wrn|imp|cau)-")
EQUATION_LABEL = re.compile(r"\{#eq-")

PLAIN_ATTRIBUTES = re.compile(r"^(data-.+|aria-.+|role|lang|dir|title|target|rel|download|startFrom)$")
KNOWN_ATTRIBUTES = {
    "Div": {"layout-ncol", "icon", "appearance", "collapse", "when-format", "unless-format", "tbl-colwidths"},
    "Span": {"when-format", "unless-format"},
    "Image": {"fig-alt", "alt", "width", "height"},
    "Figure": {"fig-alt", "alt"},
    "Table": {"tbl-colwidths"},
}
FORMATS = ("html", "typst")


def select_format(blocks: list[Node], format_name: str, origins: Origins) -> list[Node]:
    """Return the blocks without those that ``content-visible`` or ``content-hidden`` keep from a format."""

    def visit(element: Node) -> list[Node]:
        if element["t"] not in ("Div", "Span"):
            return [element]
        named = set(classes(element)) & {"content-visible", "content-hidden"}
        if not named:
            return [element]
        wanted = "content-visible" in named
        return blocks_of(element) if _matches(element, format_name, origins) == wanted else []

    selected: list[Node] = walk(blocks, visit)
    return selected


def _matches(element: Node, format_name: str, origins: Origins) -> bool:
    """Whether the condition of a conditional element holds."""
    conditions = attributes(element)
    for name, value in conditions.items():
        if name not in ("when-format", "unless-format") or value not in FORMATS:
            raise origins.refuse(
                f"condition '{name}={value}'", name, ("when-format", "unless-format", *FORMATS)
            )
    holds = [(value == format_name) == (name == "when-format") for name, value in conditions.items()]
    return all(holds)


def check_tree(blocks: list[Node], html: RawHtml, origins: Origins) -> list[Node]:
    """Return blocks without comments; raise UnsupportedSyntaxError for what is not in the subset."""
    for element in nodes(blocks):
        if element["t"] in WITH_ATTRIBUTES:
            _check_attributes(element, origins)
        elif element["t"] == "Str" and EQUATION_LABEL.search(element["c"]):
            raise origins.refuse("a numbered equation (#eq-)", "{#eq-")
    checked: list[Node] = walk(blocks, lambda element: _without_comments(element, html, origins))
    return checked


def _check_attributes(element: Node, origins: Origins) -> None:
    own = classes(element)
    if any(name.startswith("headstart-") for name in own):
        return
    if OTHER_REFERENCES.match(identifier(element)):
        raise origins.refuse(f"the label '#{identifier(element)}'", identifier(element), REFERENCES)
    for name in own:
        if name.startswith("callout") and name.removeprefix("callout-") not in CALLOUTS:
            raise origins.refuse(f"callout '{name}'", name, tuple(f"callout-{kind}" for kind in CALLOUTS))
        if MEANINGFUL.match(name):
            raise origins.refuse(f"class '{name}'", name)
    known = KNOWN_ATTRIBUTES.get(element["t"], set())
    for name in attributes(element):
        if name not in known and not PLAIN_ATTRIBUTES.match(name):
            where = {"t": "Para", "c": element["c"][-1]} if element["t"] == "Header" else {}
            suffix = f" on the heading '{plain_text(where)}'" if where else ""
            raise origins.refuse(f"attribute '{name}'{suffix}", name, tuple(sorted(known)))


def _without_comments(element: Node, html: RawHtml, origins: Origins) -> list[Node]:
    if element["t"] not in ("RawBlock", "RawInline"):
        return [element]
    format_name, content = element["c"]
    if format_name == "html" and content.strip().startswith("<!--"):
        return []
    if format_name == "typst" or (format_name == "html" and html.is_token(content)):
        return [element]
    fragment = content.strip().splitlines()[0] if content.strip() else ""
    if format_name == "html":
        raise origins.refuse(f"HTML '{fragment}' outside a ```{{=html}} block", fragment)
    raise origins.refuse(f"raw {format_name} '{fragment}'", fragment, FORMATS)
