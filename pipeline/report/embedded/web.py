"""The HTML page: one file that holds its styles, scripts and images."""

import re
import string
from html import escape
from importlib import resources
from pathlib import Path

from pipeline.report.embedded import pandoc
from pipeline.report.embedded.assembly import RawHtml
from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.contents import contents
from pipeline.report.embedded.references import Label
from pipeline.report.embedded.self_contained import embed_images, refuse_requests
from pipeline.report.embedded.titles import Titles
from pipeline.report.embedded.tree import Node, node, raw, walk

ASSETS = resources.files("pipeline.report.embedded") / "assets"
PART = "<!--headstart-part-->"
TABLE_HEAD = re.compile(r"<thead>.*?</thead>", re.DOTALL)
HEADER_CELL = re.compile(r"<th(?=[\s>])")


def write_page(
    blocks: list[Node],
    titles: Titles,
    labels: dict[str, Label],
    configuration: Configuration,
    html: RawHtml,
    figures: Path,
) -> str:
    """Return the whole page.

    Images are read from ``figures`` (what cells drew) or from the folder of the document. Raises
    RenderError when the page would need anything from outside itself.
    """
    title, subtitle, abstract, listed, body = _parts(blocks, titles, labels, configuration)
    page = string.Template(_asset("page.html")).substitute(
        language=escape(str(configuration.get("lang", "en"))),
        generator=f"Headstart with Pandoc {pandoc.version()}",
        page_title=escape(str(configuration.get("pagetitle") or titles.text("title") or "Report")),
        metadata=_metadata(titles),
        base_style=_asset("page.css"),
        style=configuration.files("css"),
        in_header=configuration.files("include-in-header"),
        before_body=configuration.files("include-before-body"),
        after_body=configuration.files("include-after-body"),
        script=_asset("page.js"),
        body_class="quarto-light has-dark" if _has_dark(configuration) else "quarto-light",
        contents=_sidebar(listed, configuration),
        title_block=_title_block(title, subtitle, abstract, titles, configuration),
        body=TABLE_HEAD.sub(lambda head: HEADER_CELL.sub('<th scope="col"', head[0]), body),
    )
    page = embed_images(html.restore(page), (figures, configuration.root))
    refuse_requests(page)
    return page


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _parts(
    blocks: list[Node], titles: Titles, labels: dict[str, Label], configuration: Configuration
) -> list[str]:
    """Return title, subtitle, abstract, contents and body as HTML, from one call of Pandoc."""
    mark = raw("html", PART)
    numbered = bool(configuration.get("number-sections", False))
    listed = contents(blocks, labels, configuration.get("toc-depth", 3), numbered)
    parts = [
        [node("Plain", titles.inlines("title"))],
        [node("Plain", titles.inlines("subtitle"))],
        titles.blocks.get("abstract", []),
        listed if configuration.get("toc", False) else [],
        blocks if numbered else _without_numbers(blocks),
    ]
    joined = [block for part in parts for block in (*part, mark)]
    return [part.strip() for part in pandoc.write(joined[:-1], "html").split(PART)]


def _without_numbers(blocks: list[Node]) -> list[Node]:
    def visit(element: Node) -> list[Node]:
        if element["t"] != "Header":
            return [element]
        level, (label, names, pairs), inlines = element["c"]
        return [node("Header", level, [label, [*names, "unnumbered"], pairs], inlines)]

    changed: list[Node] = walk(blocks, visit)
    return changed


def _metadata(titles: Titles) -> str:
    pairs = [*(("author", author) for author in titles.authors), ("dcterms.date", titles.date)]
    pairs.append(("description", titles.description))
    return "\n".join(f'<meta name="{name}" content="{escape(text)}">' for name, text in pairs if text)


def _has_dark(configuration: Configuration) -> bool:
    theme = configuration.get("theme")
    return isinstance(theme, dict) and "dark" in theme


def _sidebar(listed: str, configuration: Configuration) -> str:
    if not listed:
        return ""
    title = escape(str(configuration.get("toc-title", "Table of contents")))
    return (
        '<div id="quarto-margin-sidebar" class="sidebar margin-sidebar">\n'
        f'<nav id="TOC" role="doc-toc" class="toc-active" aria-labelledby="toc-title">\n'
        f'<h2 id="toc-title">{title}</h2>\n{listed}\n</nav>\n</div>'
    )


def _title_block(
    title: str, subtitle: str, abstract: str, titles: Titles, configuration: Configuration
) -> str:
    heading = f'<h1 class="title">{title}</h1>' if title else ""
    lead = f'<p class="subtitle lead">{subtitle}</p>' if subtitle else ""
    abstract_title = escape(str(configuration.get("abstract-title", "Abstract")))
    summary = (
        f'<div class="abstract">\n<div class="block-title">{abstract_title}</div>\n{abstract}\n</div>'
        if abstract
        else ""
    )
    authors = "".join(f"<p>{escape(author)}</p>" for author in titles.authors)
    date = f'<p class="date">{escape(titles.date)}</p>' if titles.date else ""
    facts = _fact("Author" if len(titles.authors) == 1 else "Authors", authors) + _fact("Published", date)
    return (
        '<header id="title-block-header" class="quarto-title-block default">\n'
        f'<div class="quarto-title">\n{heading}\n{lead}\n</div>\n'
        f'<div class="quarto-title-meta">\n{facts}</div>\n{summary}\n</header>'
    )


def _fact(name: str, content: str) -> str:
    if not content:
        return ""
    return (
        f'<div>\n<div class="quarto-title-meta-heading">{name}</div>\n'
        f'<div class="quarto-title-meta-contents">{content}</div>\n</div>\n'
    )
