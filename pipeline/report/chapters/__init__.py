"""The report's chapters, one file for each thing told: its facts, sentences, figures and tables.

``words`` of each chapter are its sentences in results.json, below the chapter's ``SECTION`` or name.
"""

from types import ModuleType

from pipeline.report.chapters import (
    accuracy,
    answer,
    calibration,
    checked,
    classes,
    conditions,
    confusion,
    contest,
    cost,
    data_efficiency,
    elsewhere,
    errors,
    explanations,
    groups,
    images,
    labels,
    learning,
    limits,
    models,
    pretraining,
    recipes,
    recommendations,
    reproduce,
    robustness,
    short,
    shortcuts,
    slices,
    sources,
    tasks,
    tradeoffs,
)
from pipeline.report.study import Study
from pipeline.report.words.sentence import Sentence

CHAPTERS: tuple[ModuleType, ...] = (
    answer, images, groups, learning, accuracy, pretraining, classes, confusion, data_efficiency, contest,
    errors, explanations, labels, slices, shortcuts, calibration, conditions, elsewhere, cost, tradeoffs,
    robustness, limits, short, checked,
)  # fmt: skip

__all__ = ["CHAPTERS", "models", "recipes", "recommendations", "reproduce", "sources", "tasks", "verdict"]


def verdict(study: Study) -> dict[str, list[Sentence]]:
    """Return every computed sentence by section, in the report's order."""
    sections: dict[str, list[Sentence]] = {}
    for chapter in CHAPTERS:
        name = getattr(chapter, "SECTION", chapter.__name__.rpartition(".")[2])
        sections.setdefault(name, []).extend(chapter.words(study))
    return sections
