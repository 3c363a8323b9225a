"""Raw HTML and Typst inside Markdown, safe whatever a class or a title is called."""

import html
import json

from IPython.display import Markdown

from pipeline.report.words.english import flat

# Quarto reads shortcodes even in raw HTML, and a fence ends at backticks.
_ALSO = str.maketrans({"{": "&#123;", "}": "&#125;", "`": "&#96;", "@": "&#64;"})


def text(words: str) -> str:
    """Return words as HTML text or attribute value."""
    return html.escape(flat(words)).translate(_ALSO)


def typst_string(words: str) -> str:
    """Return words as a Typst string literal."""
    return json.dumps(flat(words), ensure_ascii=False).replace("`", "\\u{60}").replace("{{<", "\\u{7b}{<")


def raw(page: str = "", paper: str = "") -> Markdown:
    """Return HTML for the page and Typst for the PDF; each format ignores the other."""
    parts = [("html", page), ("typst", paper)]
    return Markdown("\n\n".join(f"````{{={name}}}\n{code}\n````" for name, code in parts if code) + "\n")
