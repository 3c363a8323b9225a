"""The explorer of mistakes: each model's confusion matrix, and the images behind its cells.

The images are in the page once, below the matrices, by their label; JavaScript shows a copy of those
behind the cell that the reader opens. The PDF has figures of the same matrices and mistakes.
"""

import base64
from collections import defaultdict
from itertools import chain, zip_longest

import numpy as np
from IPython.display import Markdown

from pipeline.report.figures.errors import kept_images
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.page.markup import raw, text
from pipeline.report.study import Study
from pipeline.report.words.english import percent, plural

MOST_BYTES = 1_200_000  # of PNG that travel in the page
MOST_CLASSES = 20  # beyond which a list of pairs stands for the matrix
MOST_PAIRS = 60
LONGEST = 300  # characters of a name: here, if nowhere else, it stands in full
Cell = tuple[int, int]


def explorer(study: Study) -> Markdown:
    """Return the explorer as HTML; nothing for the PDF, and nothing when no model made a mistake."""
    images = kept_images(study)
    pool = _pool(study, images)
    if not pool:
        return raw()
    panels = "\n".join(_panel(study, number, group, set(pool)) for number, group in enumerate(study.models))
    return raw(
        '<section class="widget explorer" aria-label="Explorer of mistakes">\n'
        "<p>Open a cell to see the test images behind it: the row is the label, the column what the model "
        "said. Shares of the row set the colour.</p>\n"
        f'<div data-tabs="Models">\n{panels}\n</div>\n{_images(study, pool, images)}\n</section>'
    )


def _pool(study: Study, images: dict[int, bytes]) -> list[int]:
    """Return which images the page carries: some behind every cell before more behind any."""
    behind: dict[tuple[int, int, int], list[int]] = defaultdict(list)
    for number, group in enumerate(study.models):
        split = group.chosen_test
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


def _panel(study: Study, number: int, group: Model, pool: set[int]) -> str:
    split = group.chosen_test
    shown = np.isin(split.index, list(pool)) & ~split.correct
    kept = set(zip(split.target[shown].tolist(), split.predicted[shown].tolist(), strict=True))
    draw = _matrix if len(study.classes) <= MOST_CLASSES else _pairs
    content = draw(study.classes, group.metrics.confusion_matrix, kept)
    heading = f"<h4>{letters(study)[group.key]}: {text(short(group.label, 60))}</h4>"
    return f'<section data-model="{number}">{heading}<div class="matrix scroll">{content}</div></section>'


def _matrix(classes: list[str], counts: np.ndarray, kept: set[Cell]) -> str:
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [text(short(name, 24)) for name in classes]
    head = "".join(f'<th scope="col"><span>{name}</span></th>' for name in names)
    rows = []
    for true, name in enumerate(names):
        cells = "".join(
            _cell(classes, (true, k), int(counts[true, k]), float(shares[true, k]), kept)
            for k in range(len(names))
        )
        rows.append(f'<tr><th scope="row">{name}</th>{cells}</tr>')
    return f"<table><thead><tr><td></td>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(classes: list[str], cell: Cell, count: int, share: float, kept: set[Cell]) -> str:
    if not count:
        return "<td></td>"
    style = f'style="--share:{share**0.6:.2f}"' + (' class="strong"' if share**0.6 > 0.55 else "")
    return f"<td {style}>{_button(classes, cell, count) if cell in kept else count}</td>"


def _button(classes: list[str], cell: Cell, count: int) -> str:
    true, predicted = cell
    label, answer = short(classes[true], 60), short(classes[predicted], 60)
    words = f"{plural(count, 'image')} labelled {label}, taken for {answer}"
    data = f'data-true="{true}" data-predicted="{predicted}" data-count="{count}"'
    return f'<button type="button" aria-pressed="false" {data} aria-label="{text(words)}">{count}</button>'


def _pairs(classes: list[str], counts: np.ndarray, kept: set[Cell]) -> str:
    errors = counts - np.diag(np.diag(counts))
    order = np.argsort(-errors, axis=None, kind="stable")[:MOST_PAIRS]
    rows = []
    for true, predicted in (divmod(int(place), len(classes)) for place in order):
        if count := int(errors[true, predicted]):
            shown = _button(classes, (true, predicted), count) if (true, predicted) in kept else count
            names = (text(short(classes[k], 40)) for k in (true, predicted))
            rows.append(f"<tr>{''.join(f'<td>{name}</td>' for name in names)}<td>{shown}</td></tr>")
    head = '<tr><th scope="col">Label</th><th scope="col">Taken for</th><th scope="col">Images</th></tr>'
    return f'<table class="pairs"><thead>{head}</thead><tbody>{"".join(rows)}</tbody></table>'


def _images(study: Study, pool: list[int], images: dict[int, bytes]) -> str:
    place = {int(index): row for row, index in enumerate(study.models[0].test[0].index)}
    of_class: dict[int, list[str]] = defaultdict(list)
    for index in sorted(pool):
        row = place[index]
        of_class[int(study.targets[row])].append(_image(study, index, row, images[index]))
    groups = (
        f"<details><summary>{text(short(study.classes[true], LONGEST))}: "
        f"{plural(len(items), 'image')}</summary>"
        f'<ul class="pictures">{"".join(items)}</ul></details>'
        for true, items in sorted(of_class.items())
    )
    return f'<div class="pool"><h4>All of these images, by their label</h4>{"".join(groups)}</div>'


def _image(study: Study, index: int, row: int, png: bytes) -> str:
    label = study.classes[int(study.targets[row])]
    splits = [group.chosen_test for group in study.models]
    guesses = [int(split.predicted[row]) for split in splits]
    marks = letters(study)
    said = "".join(
        f"<br>{marks[group.key]}: {text(short(study.classes[guess], 30))}, "
        f"{text(percent(float(split.probability[row].max()), 0))}"
        for group, split, guess in zip(study.models, splits, guesses, strict=True)
    )
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    picture = f'<img alt="test image {index}" loading="lazy" src="{source}">'
    data = f'data-true="{int(study.targets[row])}" data-predicted="{",".join(map(str, guesses))}"'
    return f"<li {data}>{picture}<span><b>No. {index}, {text(short(label, 40))}</b>{said}</span></li>"
