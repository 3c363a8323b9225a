"""The explorer of mistakes: each model's confusion matrix, and the images behind its cells.

The images are in the page once, below the matrices, by their label; JavaScript shows a copy of those
behind the cell that the reader opens. The PDF has figures of the same matrices and mistakes.
"""

import base64
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, zip_longest
from typing import Any

import numpy as np
from IPython.display import Markdown
from markupsafe import Markup

from pipeline.report.chapters.confusion import order
from pipeline.report.look.cards import kept_images
from pipeline.report.look.floats import Float
from pipeline.report.look.table import Drawn
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.page.templates import html
from pipeline.report.study import Study
from pipeline.report.words.english import isolated, plural
from pipeline.report.words.numbers import percent

MOST_BYTES = 1_200_000  # of PNG that travel in the page
MOST_CLASSES = 20  # beyond which a list of pairs stands for the matrix
MOST_PAIRS = 60
MOST_GROUPS = 40  # lists of images, of one class each, or of many classes of several in turn
LONGEST = 300  # characters of a name: here, if nowhere else, it stands in full
POWER = 0.7  # lifts the rare confusions out of the background, as in the figure
STRONGEST = 0.25  # share of a row from which a confusion has the strongest colour
Cell = tuple[int, int]


def explorer(drawn: Float | Markdown, study: Study) -> Float | Markdown:
    """Return the figure of the confusion matrices, on the page with the explorer in its place.

    Where no model made a mistake, or no image was kept, the figure stays as it is.
    """
    images = kept_images(study)
    pool = _pool(study, images)
    if not pool or not isinstance(drawn, Float):
        return drawn
    places = order(study) if len(study.classes) > 2 else list(range(len(study.classes)))
    ranked = sorted(study.models, key=lambda model: (model is not study.best, -model.test_accuracy))
    page = html(
        "explorer",
        classes=[_name(study.classes[k], 24) for k in places],
        panels=[_panel(study, model, pool, places) for model in ranked],
        groups=_groups(study, pool, images),
    )
    several = len(drawn.drawings) > 1  # of one model, paper has room for words beside its matrix
    shown = Drawn(page, drawn.on_paper, drawn.title)
    return replace(drawn, content=shown, files=drawn.drawings, wide=several)


def _name(name: str, limit: int) -> str:
    return isolated(short(name, limit))


def _pool(study: Study, images: dict[int, bytes]) -> list[int]:
    """Return which images the page carries: some behind every cell before more behind any."""
    behind: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for number, model in enumerate(study.models):
        split = model.chosen_test
        for row in np.flatnonzero(~split.correct):
            if (index := int(split.index[row])) in images:
                behind[number, int(split.target[row]), int(split.predicted[row])].append(index)
    rounds = zip_longest(*behind.values())
    room, pool = MOST_BYTES, []
    for index in dict.fromkeys(i for i in chain.from_iterable(rounds) if i is not None):
        room -= len(images[index])
        if room >= 0:
            pool.append(index)
    return pool


def _panel(study: Study, model: Model, pool: list[int], places: list[int]) -> dict[str, Any]:
    """Return what the template needs of one model: the rows of its matrix, or of many classes the pairs."""
    split, counts = model.chosen_test, model.metrics.confusion_matrix
    shown = np.isin(split.index, pool) & ~split.correct
    kept = set(zip(split.target[shown].tolist(), split.predicted[shown].tolist(), strict=True))
    title = f"{letters(study)[model.key]}: {short(model.label, 60)}"
    number = study.models.index(model)
    if len(study.classes) > MOST_CLASSES:
        pairs = list(_pairs(study.classes, counts, kept))
        return {"title": title, "number": number, "rows": [], "pairs": pairs}
    return {
        "title": title,
        "number": number,
        "rows": [[_cell(study.classes, counts, (i, j), kept) for j in places] for i in places],
    }


def _cell(classes: list[str], counts: np.ndarray, cell: Cell, kept: set[Cell]) -> dict[str, Any]:
    count = int(counts[cell])
    right = cell[0] == cell[1]
    shade = 0.0 if right else (count / max(int(counts[cell[0]].sum()), 1) / STRONGEST) ** POWER
    label, answer = (_name(classes[k], 60) for k in cell)
    return {
        "true": cell[0],
        "predicted": cell[1],
        "count": count,
        "kept": cell in kept,
        "share": f"{min(shade, 1):.2f}",
        "strong": shade > 0.72,  # where black on it and white on it are read equally well
        "right": right,
        "words": f"{plural(count, 'image')} labelled {label}, taken for {answer}",
    }


def _pairs(classes: list[str], counts: np.ndarray, kept: set[Cell]) -> Iterator[dict[str, Any]]:
    errors = counts - np.diag(np.diag(counts))
    order = np.argsort(-errors, axis=None, kind="stable")[:MOST_PAIRS]
    for true, predicted in (divmod(int(place), len(classes)) for place in order):
        if errors[true, predicted]:
            names = {"label": _name(classes[true], 40), "answer": _name(classes[predicted], 40)}
            yield {**_cell(classes, counts, (true, predicted), kept), **names}


def _groups(study: Study, pool: list[int], images: dict[int, bytes]) -> list[dict[str, Any]]:
    """Return the images by their label; of many classes, several labels in turn together."""
    place = {int(index): row for row, index in enumerate(study.models[0].test[0].index)}
    of_class: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for index in sorted(pool):
        row = place[index]
        of_class[int(study.targets[row])].append(_image(study, index, row, images[index]))
    labels = sorted(of_class)
    together = -(-len(labels) // MOST_GROUPS)
    return [_group(study, of_class, labels[i : i + together]) for i in range(0, len(labels), together)]


def _group(study: Study, of_class: dict[int, list[dict[str, Any]]], labels: list[int]) -> dict[str, Any]:
    items = [image for label in labels for image in of_class[label]]
    first, last = (_name(study.classes[label], LONGEST) for label in (labels[0], labels[-1]))
    names = first if len(labels) == 1 else f"{first} … {last}"
    return {"summary": f"{names}: {plural(len(items), 'image')}", "images": items}


def _image(study: Study, index: int, row: int, png: bytes) -> dict[str, Any]:
    splits = [(letters(study)[model.key], model.chosen_test) for model in study.models]
    guesses = [int(split.predicted[row]) for _, split in splits]
    said = [
        f"{mark}: {_name(study.classes[guess], 30)}, {percent(float(split.probability[row].max()), 0)}"
        for (mark, split), guess in zip(splits, guesses, strict=True)
    ]
    true = int(study.targets[row])
    return {
        "true": true,
        "predicted": ",".join(map(str, guesses)),
        "index": index,
        "file": study.test_files.get(index, ""),
        "label": _name(study.classes[true], 40),
        "said": said,
        "source": Markup(f"data:image/png;base64,{base64.b64encode(png).decode()}"),
    }
