"""The verdict: every computed sentence of the report, by section.

``answer`` says in three sentences whether to train one's own CNN or to start from a pretrained
network, and what each costs; ``verdict`` argues it part by part.
"""

from collections.abc import Callable
from dataclasses import replace

from pipeline.report.rules import answer as answering
from pipeline.report.rules import recommendations as recommending
from pipeline.report.rules.accuracy import accuracy
from pipeline.report.rules.available import available, referring
from pipeline.report.rules.classes import classes
from pipeline.report.rules.confidence import confidence
from pipeline.report.rules.curves import curves
from pipeline.report.rules.data import data
from pipeline.report.rules.discussion import discussion
from pipeline.report.rules.errors import errors
from pipeline.report.rules.limits import limits
from pipeline.report.rules.pretraining import pretraining
from pipeline.report.rules.recommendations import Recommendation
from pipeline.report.rules.robustness import robustness
from pipeline.report.rules.spending import spending
from pipeline.report.study import Study
from pipeline.report.words.phrases import pair_of
from pipeline.report.words.sentence import Sentence, paragraph

__all__ = [
    "Recommendation",
    "Sentence",
    "answer",
    "available",
    "pair_of",
    "paragraph",
    "recommendations",
    "verdict",
]

SECTIONS: dict[str, Callable[[Study], list[Sentence]]] = {
    "data": data,
    "learning": curves,
    "accuracy": accuracy,
    "pretraining": pretraining,
    "classes": classes,
    "errors": errors,
    "calibration": confidence,
    "cost": spending,
    "tradeoffs": lambda study: [*discussion(study), *robustness(study)],
    "limits": limits,
}


def answer(study: Study) -> list[Sentence]:
    """Return the three sentences that answer the report's question, or say why these runs cannot."""
    return referring(answering.answer(study), available(study))


def verdict(study: Study) -> dict[str, list[Sentence]]:
    """Return all sentences but the answer and the recommendations, by section in the report's order.

    No sentence refers to a figure or table that would be empty.
    """
    known = available(study)
    return {name: referring(section(study), known) for name, section in SECTIONS.items()}


def recommendations(study: Study) -> list[Recommendation]:
    """Return what these runs recommend, by situation; empty when every run failed."""
    known = available(study)
    return [
        replace(found, sentence=referring([found.sentence], known)[0])
        for found in recommending.recommendations(study)
    ]
