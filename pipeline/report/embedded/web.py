"""The HTML page: one file that holds its styles, scripts and images.

Its skeleton is the one that Quarto writes with ``theme: none``, so that one style sheet fits both.
"""

import re
import string
from collections.abc import Mapping
from html import escape
from importlib import resources
from pathlib import Path

from pipeline.report.embedded import pandoc
from pipeline.report.embedded.assembly import RawHtml
from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.contents import contents
from pipeline.report.embedded.headings import with_numbers
from pipeline.report.embedded.self_contained import embed_images, refuse_requests
from pipeline.report.embedded.titles import Titles
from pipeline.report.embedded.tree import Node, node, raw

ASSETS = resources.files("pipeline.report.embedded") / "assets"
PART = "<!--headstart-part-->"
TABLE_HEAD = re.compile(r"<thead>.*?</thead>", re.DOTALL)
HEADER_CELL = re.compile(r"<th(?=[\s>])")


def write_page(
    blocks: list[Node],
    titles: Titles,
    numbers: Mapping[str, str],
    configuration: Configuration,
    html: RawHtml,
    figures: Path,
) -> str:
    """Return the whole page; ``numbers`` are those of the sections, empty to show none.

    Images are read from ``figures`` (what cells drew) or from the folder of the document. Raises
    RenderError when the page would need anything from outside itself.
    """
    title, subtitle, abstract, listed, body = _parts(blocks, titles, numbers, configuration)
    page = string.Template(_asset("page.html")).substitute(
        language=escape(str(configuration.get("lang", "en"))),
        generator=f"Headstart with Pandoc {pandoc.version()}",
        page_title=escape(titles.page_title or titles.text("title") or "Report"),
        metadata=_metadata(titles),
        base_style=_asset("page.css"),
        style=configuration.files("css"),
        in_header=configuration.files("include-in-header"),
        before_body=configuration.files("include-before-body"),
        title_block=_title_block(title, subtitle, abstract, titles, configuration),
        contents=_navigation(listed, configuration),
        body=TABLE_HEAD.sub(lambda head: HEADER_CELL.sub('<th scope="col"', head[0]), body),
        after_body=configuration.files("include-after-body"),
        script=_asset("page.js"),
    )
    page = embed_images(html.restore(page), (figures, configuration.root))
    refuse_requests(page)
    return page


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")


def _parts(
    blocks: list[Node], titles: Titles, numbers: Mapping[str, str], configuration: Configuration
) -> list[str]:
    """Return title, subtitle, abstract, contents and body as HTML, from one call of Pandoc."""
    mark = raw("html", PART)
    listed = contents(blocks, numbers, configuration.get("toc-depth", 3))
    parts = [
        [node("Plain", titles.inlines("title"))],
        [node("Plain", titles.inlines("subtitle"))],
        titles.blocks.get("abstract", []),
        listed if configuration.get("toc", False) else [],
        with_numbers(blocks, numbers),
    ]
    joined = [block for part in parts for block in (*part, mark)]
    return [part.strip() for part in pandoc.write(joined[:-1], "html").split(PART)]


def _metadata(titles: Titles) -> str:
    pairs = [*(("author", author) for author in titles.authors), ("dcterms.date", titles.date)]
    pairs.append(("description", titles.description))
    return "\n".join(f'<meta name="{name}" content="{escape(text)}">' for name, text in pairs if text)


def _navigation(listed: str, configuration: Configuration) -> str:
    if not listed:
        return ""
    title = escape(str(configuration.get("toc-title", "Table of contents")))
    return f'<nav id="TOC" role="doc-toc">\n<h2 id="toc-title">{title}</h2>\n{listed}\n</nav>'


def _title_block(
    title: str, subtitle: str, abstract: str, titles: Titles, configuration: Configuration
) -> str:
    """Return the block with title, author, date and abstract; nothing when there is none of them."""
    abstract_title = escape(str(configuration.get("abstract-title", "Abstract")))
    lines = [
        f'<h1 class="title">{title}</h1>' if title else "",
        f'<p class="subtitle">{subtitle}</p>' if subtitle else "",
        *(f'<p class="author">{escape(author)}</p>' for author in titles.authors),
        f'<p class="date">{escape(titles.date)}</p>' if titles.date else "",
        f'<div class="abstract">\n<div class="abstract-title">{abstract_title}</div>\n{abstract}\n</div>'
        if abstract
        else "",
    ]
    shown = "\n".join(line for line in lines if line)
    return f'<header id="title-block-header">\n{shown}\n</header>' if shown else ""
