"""A section that a report shows only where there is something to say: ``report.qmd`` puts it between
``opening`` and ``closing``, and renderers leave out what stands in a Div of class ``content-hidden``.
"""

from IPython.display import Markdown

from pipeline.report.look.floats import NOTHING


def opening(told: object) -> Markdown:
    """Return the beginning of a section that is shown if there is something ``told``."""
    return Markdown(NOTHING if told else "\n\n::: {.content-hidden}\n\n")


def closing(told: object) -> Markdown:
    """Return the end of the same section."""
    return Markdown(NOTHING if told else "\n\n:::\n\n")
