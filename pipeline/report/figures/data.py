"""Figures of the data: what the images look like, how many there are, what augmentation makes of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.figures.images import Picture, Row, sheet
from pipeline.report.look import theme
from pipeline.report.look.theme import short
from pipeline.report.study import Study

MOST_STRIPS = 20
MOST_BARS = 30


@theme.draws
def samples(study: Study) -> Figure:
    """Draw training images with their labels, a strip for each of at most 20 classes."""
    gallery = _of_kind(study.models[0].chosen.gallery, "sample")
    shown = sorted(set(gallery["target"]))[:MOST_STRIPS]
    rows = [
        Row([Picture(png) for png in gallery["png"][gallery["target"] == target][:5]], short(name, 26))
        for target, name in enumerate(study.classes)
        if target in shown
    ]
    if not rows:
        return theme.nothing("The runs kept no samples of their images.")
    return sheet(rows, side=0.46, step=0.52, columns=2)


@theme.draws
def augmented(study: Study) -> Figure:
    """Draw training images, each beside what augmentation made of it."""
    group = next((g for g in study.models if g.settings.augmentation), study.models[0])
    views, originals = _of_kind(group.chosen.gallery, "augmented"), _of_kind(group.chosen.gallery, "sample")
    if views.empty:
        return theme.nothing("The images were used as they are: no augmentation was asked for.")
    known = originals.drop_duplicates("index").set_index("index")["png"]
    rows = [
        Row([Picture(known.get(index)), *map(Picture, pngs["png"][:8])])
        for index, pngs in list(views.groupby("index", sort=False))[:6]
    ]
    return sheet(rows, side=0.5, step=0.55, columns=2 if len(rows[0].pictures) <= 5 else 1)


@theme.draws
def balance(study: Study) -> Figure:
    """Draw how many images each class has in train, val and test."""
    if study.dataset is None:
        return theme.nothing("The runs did not record how many images there were.")
    counts = study.dataset.class_counts
    few = len(study.classes) <= MOST_BARS
    drawing = theme.figure(0.6 + 0.24 * len(study.classes) if few else 2.6)
    every = drawing.subplots(1, len(counts), sharey=few, squeeze=False)[0]
    draw = _draw_bars if few else _draw_profile
    for axes, (split, of_class) in zip(every, counts.items(), strict=True):
        draw(axes, of_class, study.classes)
        axes.set_title(f"{split}: {sum(of_class):,}")
    return drawing


def _draw_bars(axes: Axes, counts: Sequence[int], classes: Sequence[str]) -> None:
    places = np.arange(len(counts))
    axes.barh(places, counts, height=0.7, color=theme.BAR.light)
    axes.set_yticks(places, [short(name, 22) for name in classes])
    axes.set(ylim=(len(counts) - 0.5, -0.5), xlim=(0, 1.3 * max([*counts, 1])), xticks=[])
    axes.spines[["bottom", "left"]].set_visible(False)
    axes.tick_params(left=False)
    for place, count in zip(places, counts, strict=True):
        axes.annotate(f"{count:,}", (count, place), (3, 0), textcoords="offset points", va="center", size=8.5)


def _draw_profile(axes: Axes, counts: Sequence[int], classes: Sequence[str]) -> None:
    ordered = np.sort(counts)[::-1]
    axes.fill_between(np.arange(1, len(ordered) + 1), ordered, step="mid", color=theme.BAR.light, lw=0)
    axes.set(
        xlabel="classes, largest first", ylim=(0, 1.15 * max(*ordered, 1)), xlim=(0.5, len(ordered) + 0.5)
    )


def _of_kind(gallery: pd.DataFrame, kind: str) -> pd.DataFrame:
    return gallery[gallery["kind"] == kind]
