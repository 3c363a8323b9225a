"""Shortcuts: whether light, size, sharpness or the file alone can tell the classes."""

import numpy as np
from matplotlib.figure import Figure

from pipeline.report.evidence.shortcuts import Shortcut, properties
from pipeline.report.look import floats, theme
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, name, table
from pipeline.report.look.theme import short
from pipeline.report.study import Study
from pipeline.report.words.numbers import percent
from pipeline.report.words.sentence import Sentence
from pipeline.report.words.warnings import PROPERTIES as NAMES

MOST_DRAWN = 3
REFERENCES = ("fig-shortcuts", "tbl-shortcuts")


def words(study: Study) -> Words:
    """Say of each shortcut how well it tells the classes; nothing where none is found."""
    said = [(_said_too if place else _said)(one) for place, one in enumerate(study.found_shortcuts)]
    return Words(study, said, told=["fig-shortcuts"])


def _said(one: Shortcut) -> Sentence:
    text = (
        f"By {NAMES[one.property]} alone, {percent(one.accuracy)} of the images are given their class, each "
        f"class counted alike, where chance gives {percent(one.chance)}; “{one.told}” is told best."
    )
    return Sentence(text, "shortcuts.found", one, REFERENCES)


def _said_too(one: Shortcut) -> Sentence:
    text = f"By {NAMES[one.property]} alone it is {percent(one.accuracy)}, “{one.told}” best."
    return Sentence(text, "shortcuts.found", one, REFERENCES)


def _title(study: Study) -> str:
    known = [NAMES[one.property] for one in study.found_shortcuts]
    return f"What images do not show tells their classes: {'; '.join(known[:MOST_DRAWN])}"


@floats.figure(
    "fig-shortcuts",
    "How a property that has nothing to do with what images show is spread in the class that it tells "
    "best, and "
    "in all others.",
    _title,
    when=lambda study: study.found_shortcuts,
    alternative="Histograms of a property of the images, in one class and in all others.",
    data=lambda study: _measured(study),
)
def figure(study: Study) -> list[Figure]:
    """Draw how each shortcut is spread in the class that it tells best and in all others."""
    images, drawings = study.images, []
    assert images is not None  # or nothing would be known of them
    measured = properties(images)
    for one in study.found_shortcuts[:MOST_DRAWN]:
        drawing = theme.figure(2.4, theme.PANEL)
        drawing.set_label(NAMES[one.property])
        axes = drawing.subplots()
        values, mine = (
            measured[one.property][:, 0],
            images["target"].to_numpy() == study.classes.index(one.told),
        )
        edges = np.histogram_bin_edges(values[np.isfinite(values)], 24).tolist()
        axes.hist(
            values[~mine], edges, density=True, label="all others", color=theme.BAR.light,
            histtype="stepfilled", alpha=0.5,
        )  # fmt: skip
        axes.hist(
            values[mine],
            edges,
            density=True,
            label=short(one.told, 18),
            color=theme.BAD.light,
            histtype="step",
        )
        axes.set(xlabel=NAMES[one.property], yticks=[])
        axes.legend()
        drawings.append(drawing)
    return drawings


def _measured(study: Study) -> Table:
    """List the properties drawn, image by image, with the class of each."""
    images, drawn = study.images, study.found_shortcuts[:MOST_DRAWN]
    assert images is not None
    columns = [properties(images)[one.property][:, 0] for one in drawn]
    labels = [name(study.classes[target], 300) for target in images["target"]]
    rows = [[label, *(f"{value:.5g}" for value in row)] for label, *row in zip(labels, *columns, strict=True)]
    return table(["Label", *(NAMES[one.property] for one in drawn)], rows, "l" + "r" * len(drawn))


@floats.table(
    "tbl-shortcuts",
    "Out of fold, each class counting alike. Told best: the class told best from the rest, with its area "
    "under "
    "the ROC curve.",
    floats.named("What each property alone tells of the classes"),
    when=lambda study: study.found_shortcuts,
)
def listed(study: Study) -> Table:
    """List every property that was asked."""
    rows = [
        [
            NAMES[one.property],
            percent(one.accuracy),
            percent(one.chance),
            f"{one.p:.3f}" if one.p >= 0.001 else "\\< 0.001",
            f"{name(one.told, 30)} ({one.auc:.2f})",
            "yes" if one.found else "no",
        ]
        for one in study.shortcuts
    ]
    return table(["By", "Accuracy", "Chance", "p", "Told best", "Shortcut"], rows, "lrrrll")
