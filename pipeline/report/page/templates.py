"""The page's own HTML, from the jinja2 templates beside this file; every value in them is escaped."""

from pathlib import Path

from IPython.display import Markdown
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline.report.look.markup import raw
from pipeline.report.words.english import flat

# Quarto reads shortcodes even in raw HTML, and a fence ends at backticks.
_ALSO = str.maketrans({"{": "&#123;", "}": "&#125;", "`": "&#96;", "@": "&#64;"})


def text(words: object) -> Markup:
    """Return words as HTML text or attribute value; HTML that a template made stays as it is."""
    if isinstance(words, Markup):
        return words
    return Markup(str(escape(flat(str(words)))).translate(_ALSO))


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    finalize=text,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def html(template: str, **values: object) -> str:
    """Return what ``templates/<template>.html`` makes of the values."""
    return _ENVIRONMENT.get_template(f"{template}.html").render(values)


def filled(template: str, paper: str = "", **values: object) -> Markdown:
    """Return the same as a part of the page; ``paper`` is its Typst twin in the PDF."""
    return raw(html(template, **values), paper)
