"""Raw HTML and Typst inside Markdown; each format ignores the other."""

import base64
import json

from IPython.display import Markdown
from markupsafe import Markup, escape

from pipeline.report.words.english import flat

# Quarto reads shortcodes even in raw HTML, and a fence ends at backticks.
_ALSO = str.maketrans({"{": "&#123;", "}": "&#125;", "`": "&#96;", "@": "&#64;"})


def text(words: object) -> Markup:
    """Return words as HTML text or attribute value; HTML that a template made stays as it is."""
    if isinstance(words, Markup):
        return words
    return Markup(str(escape(flat(str(words)))).translate(_ALSO))


def typst_string(words: str) -> str:
    """Return words as a Typst string literal."""
    return json.dumps(flat(words), ensure_ascii=False).replace("`", "\\u{60}").replace("{{<", "\\u{7b}{<")


def data_link(content: str, kind: str) -> str:
    """Return a text as the address of a file that is in the page, as a ``kind`` "text/csv"."""
    return f"data:{kind};base64,{base64.b64encode(content.encode()).decode()}"


def typst_picture(svg: str, alternative: str, width: str = "100%") -> str:
    """Return Typst code that shows an SVG; its text stands in the code, so that no file is needed."""
    content = json.dumps(svg, ensure_ascii=False).replace("`", "\\u{60}").replace("{{<", "\\u{7b}{<")
    return f'image(bytes({content}), format: "svg", alt: {typst_string(alternative)}, width: {width})'


def raw(page: str = "", paper: str = "") -> Markdown:
    """Return HTML for the page and Typst for the PDF; each format ignores the other."""
    parts = [("html", page), ("typst", paper)]
    return Markdown("\n\n".join(f"````{{={name}}}\n{code}\n````" for name, code in parts if code) + "\n")
