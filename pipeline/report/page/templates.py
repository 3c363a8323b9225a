"""The page's own HTML, from the jinja2 templates beside this file; every value in them is escaped."""

from pathlib import Path

from IPython.display import Markdown
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.report.look.markup import raw, text

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
