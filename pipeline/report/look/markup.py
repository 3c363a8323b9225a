"""Raw HTML and Typst inside Markdown; each format ignores the other."""

import json

from IPython.display import Markdown

from pipeline.report.words.english import flat


def typst_string(words: str) -> str:
    """Return words as a Typst string literal."""
    return json.dumps(flat(words), ensure_ascii=False).replace("`", "\\u{60}").replace("{{<", "\\u{7b}{<")


def raw(page: str = "", paper: str = "") -> Markdown:
    """Return HTML for the page and Typst for the PDF; each format ignores the other."""
    parts = [("html", page), ("typst", paper)]
    return Markdown("\n\n".join(f"````{{={name}}}\n{code}\n````" for name, code in parts if code) + "\n")
