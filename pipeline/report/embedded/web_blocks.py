"""Figures, tables, callouts, tabs and columns as HTML, in the markup and classes that Quarto writes."""

import itertools
from collections.abc import Iterator
from html import escape

from pipeline.report.embedded.neutral import (
    CALLOUT_WORDS,
    callout_kind,
    callout_parts,
    column_widths,
    float_parts,
    layout_children,
)
from pipeline.report.embedded.references import Label
from pipeline.report.embedded.tabsets import Tab, tabs_of
from pipeline.report.embedded.tree import (
    Node,
    attr,
    attributes,
    blocks_of,
    classes,
    div,
    group,
    identifier,
    node,
    plain_text,
    raw,
    text,
    ungrouped,
    walk,
)


class WebBlocks:
    """Gives each neutral block of one page its HTML."""

    def __init__(self, labels: dict[str, Label]) -> None:
        self.labels = labels
        self.tabsets = itertools.count(1)

    def write(self, blocks: list[Node]) -> list[Node]:
        """Return blocks that Pandoc's HTML writer can write."""
        written: list[Node] = walk(blocks, self._visit)
        return ungrouped(written)

    def _visit(self, element: Node) -> list[Node]:
        kind = element["t"]
        if kind == "Image":
            return [_image(element)]
        if kind == "Table":
            return [_with_widths(element)]
        if kind != "Div":
            return [element]
        if "headstart-float" in classes(element):
            return self._float(element)
        if "headstart-pagebreak" in classes(element):
            return [raw("html", '<div style="page-break-after: always;"></div>')]
        if "panel-tabset" in classes(element):
            return self._tabset(element)
        if callout := callout_kind(element):
            return group(_callout(element, callout))
        if "layout-ncol" in attributes(element):
            return [_columns(element)]
        return [element]

    def _float(self, element: Node) -> list[Node]:
        """Return figure and caption as Quarto nests them; a table's caption stands above it."""
        caption, content = float_parts(element)
        label, kind = identifier(element), attributes(element)["kind"]
        if not label:
            return [_unnumbered(caption, content)]
        name = f"quarto-{'sub' if kind == 'sub' else ''}float"
        group_name = f"{name}-{'tbl' if kind == 'tbl' else 'fig'}"
        place = "top" if kind == "tbl" else "bottom"
        names = f"{name}-caption-{place} {name}-caption {group_name}"
        figcaption = _figcaption([*self._number(label), *caption], f' class="{names}" id="{label}-caption"')
        described = raw("html", f'<div aria-describedby="{label}-caption">')
        body = [described, *content, raw("html", "</div>")]
        inner = [*figcaption, *body] if kind == "tbl" else [*body, *figcaption]
        opening = raw("html", f'<figure class="quarto-float {group_name}">')
        wrapped = [opening, *inner, raw("html", "</figure>")]
        return [div(wrapped, label, "quarto-float", "quarto-figure", "quarto-figure-center")]

    def _number(self, label: str) -> list[Node]:
        found = self.labels.get(label)
        if not found:
            return []
        if found.kind == "sub":
            return [*text(found.number.split()[1]), {"t": "Space"}]
        return [*text(f"{found.words.replace(' ', chr(160))}:"), {"t": "Space"}]

    def _tabset(self, element: Node) -> list[Node]:
        """Return tabs that are a complete list of titled panels where no script runs."""
        number = next(self.tabsets)
        tabs = tabs_of(element)
        panes = itertools.chain.from_iterable(
            _pane(tab, f"tabset-{number}-{position}", position == 1)
            for position, tab in enumerate(tabs, start=1)
        )
        return [
            div(
                [
                    raw("html", '<ul class="nav nav-tabs" role="tablist">'),
                    *itertools.chain.from_iterable(
                        _tab(tab, f"tabset-{number}-{position}", position == 1)
                        for position, tab in enumerate(tabs, start=1)
                    ),
                    raw("html", "</ul>"),
                    div(list(panes), "", "tab-content"),
                ],
                identifier(element),
                "panel-tabset",
            )
        ]


def _unnumbered(caption: list[Node], content: list[Node]) -> Node:
    figure = [raw("html", "<figure>"), *content, *_figcaption(caption), raw("html", "</figure>")]
    return div(figure, "", "quarto-figure", "quarto-figure-center")


def _figcaption(words: list[Node], names: str = "") -> list[Node]:
    return [raw("html", f"<figcaption{names}>"), node("Plain", words), raw("html", "</figcaption>")]


def _image(element: Node) -> Node:
    (identifier_, names, pairs), inlines, target = element["c"]
    own = dict(pairs)
    own["alt"] = own.pop("fig-alt", own.get("alt", plain_text(inlines)))
    return node("Image", attr(identifier_, [*names, "img-fluid"], own), inlines, target)


def _with_widths(element: Node) -> Node:
    """Return a table with the classes of Quarto's tables."""
    (label, names, pairs), caption, columns, *rest = element["c"]
    widths = column_widths(dict(pairs))
    if len(widths) == len(columns):
        columns = [[align, node("ColWidth", w)] for (align, _), w in zip(columns, widths, strict=True)]
    kept = {key: value for key, value in pairs if key != "tbl-colwidths"}
    return node("Table", attr(label, [*names, "caption-top"], kept), caption, columns, *rest)


def _callout(element: Node, kind: str) -> list[Node]:
    own = attributes(element)
    title, content = callout_parts(element)
    collapse = own.get("collapse")
    tag, header_tag = ("details", "summary") if collapse else ("div", "div")
    style = own.get("appearance", "default")
    icon = " no-icon" if own.get("icon") == "false" or style == "minimal" else ""
    opened = " open" if collapse == "false" else ""
    names = "".join(f" {name}" for name in classes(element) if not name.startswith("callout-"))
    label = f' id="{escape(identifier(element))}"' if identifier(element) else ""
    prefix = f'<span class="screen-reader-only">{CALLOUT_WORDS[kind]}: </span>' if title else ""
    return [
        raw(
            "html",
            f'<{tag}{label} class="callout callout-style-{style} callout-{kind}{icon} '
            f'callout-titled{names}"{opened}>\n<{header_tag} class="callout-header">\n'
            f'<div class="callout-icon-container"><i class="callout-icon{icon}"></i></div>\n'
            f'<div class="callout-title-container">{prefix}',
        ),
        node("Plain", title or text(CALLOUT_WORDS[kind])),
        raw("html", f'</div>\n</{header_tag}>\n<div class="callout-body-container callout-body">'),
        *content,
        raw("html", f"</div>\n</{tag}>"),
    ]


def _columns(element: Node) -> Node:
    """Return children side by side, in rows of ``layout-ncol``."""
    count = int(attributes(element)["layout-ncol"])
    width = f"{100 / count:.1f}"
    cells = []
    for child in layout_children(blocks_of(element)):
        cells += [
            raw("html", f'<div class="quarto-layout-cell" style="flex-basis: {width}%">'),
            child,
            raw("html", "</div>"),
        ]
    rows: list[Node] = []
    for start in range(0, len(cells), 3 * count):
        rows += [
            raw("html", '<div class="quarto-layout-row">'),
            *cells[start : start + 3 * count],
            raw("html", "</div>"),
        ]
    return div(
        rows, identifier(element), "quarto-layout-panel", *classes(element), data_layout_ncol=str(count)
    )


def _tab(tab: Tab, name: str, active: bool) -> Iterator[Node]:
    state = (" active", "true") if active else ("", "false")
    yield raw(
        "html",
        f'<li class="nav-item" role="presentation"><a class="nav-link{state[0]}" id="{name}-tab" '
        f'data-bs-toggle="tab" data-bs-target="#{name}" role="tab" aria-controls="{name}" '
        f'aria-selected="{state[1]}" href="#{name}">',
    )
    yield node("Plain", tab.title)
    yield raw("html", "</a></li>")


def _pane(tab: Tab, name: str, active: bool) -> Iterator[Node]:
    title = escape(plain_text(tab.title))
    yield raw(
        "html",
        f'<div id="{name}" class="tab-pane{" active" if active else ""}" role="tabpanel" '
        f'aria-labelledby="{name}-tab" data-title="{title}">',
    )
    yield from tab.content
    yield raw("html", "</div>")
