"""Figures and tables of a study, and what stands in their place where there is nothing to show.

Each says for itself why it may be empty, beside the code that fills it; so no sentence refers to an
empty one.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps
from typing import TypeVar

from IPython.display import Markdown
from matplotlib.figure import Figure

from pipeline.report.look import theme
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import escape_markdown
from pipeline.report.words.sentence import Sentence

Why = Callable[[Study], str]  # why there is nothing to show; "" where there is something
Shown = TypeVar("Shown")
Draws = Callable[[Study], Figure]
Lists = Callable[[Study], Markdown]

MOST_MODELS = 12  # side by side in one figure or table

_WHY: dict[str, Why] = {}  # by the label that report.qmd gives it, filled by the decorators below


def never_empty(_: Study) -> str:
    return ""


def needs_two_models(study: Study) -> str:
    return "" if len(study.models) > 1 else "A comparison takes two models."


def figure(label: str, why: Why = never_empty) -> Callable[[Draws], Draws]:
    """Decorate a figure of a study's models: drawn in the report's style, or a strip that says ``why``."""

    def decorate(draw: Draws) -> Draws:
        def drawn(study: Study) -> Figure:
            with theme.themed():
                return draw(study)

        return _or_why(label, drawn, draw, _with_models(why, "draw"), nothing_drawn)

    return decorate


def table(label: str, why: Why = never_empty, models: bool = True) -> Callable[[Lists], Lists]:
    """Decorate a table of a study (of its ``models``, or also without any): it, or why it is empty."""

    def decorate(fill: Lists) -> Lists:
        return _or_why(label, fill, fill, _with_models(why, "list") if models else why, nothing_listed)

    return decorate


def nothing_drawn(why: str) -> Figure:
    """Return a strip that says why there is nothing to draw."""
    with theme.themed():
        empty = theme.figure(0.6)
        empty.text(0.5, 0.5, why, ha="center", va="center", color=theme.MUTED.light, style="italic")
        return empty


def nothing_listed(why: str) -> Markdown:
    """Return a quiet sentence in a table's place: why there is nothing to list."""
    return Markdown(f"*{escape_markdown(why)}*\n")


def referring(sentences: Iterable[Sentence | None], study: Study) -> list[Sentence]:
    """Return the sentences, each with those of its references that have something to show.

    Raises KeyError for a reference that is no figure or table of the report.
    """
    return [
        replace(found, references=tuple(label for label in found.references if not _WHY[label](study)))
        for found in sentences
        if found
    ]


def shown_models(study: Study, most: int = MOST_MODELS) -> list[Model]:
    """Return at most ``most`` models in params order: the two compared, and then the best on val."""
    pair = study.pair or ()
    ranked = sorted(study.models, key=lambda model: (model not in pair, -model.val_accuracy))
    return [model for model in study.models if model in ranked[:most]]


def _or_why(
    label: str,
    show: Callable[[Study], Shown],
    named: Callable[[Study], Shown],
    why: Why,
    nothing: Callable[[str], Shown],
) -> Callable[[Study], Shown]:
    _WHY[label] = why

    @wraps(named)
    def shown(study: Study) -> Shown:
        reason = why(study)
        return nothing(reason) if reason else show(study)

    return shown


def _with_models(why: Why, verb: str) -> Why:
    def reason(study: Study) -> str:
        return why(study) if study.models else f"No run is whole, so there is nothing to {verb}."

    return reason
