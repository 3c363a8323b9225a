"""Where in the image: explanation maps of the compared models on the same test images, and their limits."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image

from pipeline.report.evidence.explanations import Explained, Kind, explained
from pipeline.report.look import floats
from pipeline.report.look.cards import BAD, MUTED, Card, Line, cards
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Drawn, Table, name, table
from pipeline.report.look.theme import letters, short
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, plural
from pipeline.report.words.sentence import Sentence

REFERENCES = ("fig-explanations",)
EACH = 3  # images shown of a kind
LEAST = 5  # images of a kind, before a median of them is said
HARDLY = 0.5  # a median rank correlation from which shuffled weights hardly change a map
SIDE = 96  # pixels of a picture
SPOKEN: dict[Kind, str] = {
    "disagree": "they disagree",
    "both wrong": "both wrong, alike",
    "both right": "both right",
}


@dataclass(frozen=True)
class Facts:
    """The maps of the compared pair."""

    first: Model
    second: Model
    found: Explained

    def median(self, kind: Kind) -> float | None:
        """Return how far the two maps of an image of a kind resemble each other; None of too few."""
        rows = self.found.rows[kind]
        return float(np.median(self.found.alike[rows])) if len(rows) >= LEAST else None


def facts(study: Study) -> Facts | None:
    """Return the maps; None where the study did not ask, has no pair, or one of it has none."""
    if not study.experiment.explain or study.pair is None:
        return None
    found = explained(*study.pair)
    return Facts(*study.pair, found) if found else None


def words(study: Study) -> Words:
    """Say what the maps are, whether they hang on what was learned, how alike they are, what they are not."""
    found = facts(study)
    if found is None:
        return Words(study, [])
    return Words(study, [_made(found), _check(found), _alike(found), _limits(found)])


def results(study: Study) -> dict[str, Any] | None:
    """Return what results.json holds; None where nothing was asked."""
    found = facts(study)
    if found is None:
        return None
    maps = found.found
    models = (found.first, found.second)
    return {
        "images": len(maps.index),
        "counts": {kind: len(rows) for kind, rows in maps.rows.items()},
        "models": {
            model.key: {"layer": layer, "side": side, "shuffled_correlation": shuffled}
            for model, layer, side, shuffled in zip(
                models, maps.layers, maps.sides, maps.shuffled, strict=True
            )
        },
        "correlation": {kind: found.median(kind) for kind in maps.rows},
    }


def _made(found: Facts) -> Sentence:
    count = len(found.found.index)
    text = (
        f"For {plural(count, 'test image')}, evenly spread, Grad-CAM "
        "(Selvaraju et al. 2017, arXiv 1610.02391) marks where the image speaks for the answer that each of "
        f"{found.first.spoken} and {found.second.spoken} gave, right or wrong."
    )
    return Sentence(text, "explanations.made", {"images": count}, REFERENCES)


def _check(found: Facts) -> Sentence:
    """Say whether the maps change when what was learned is destroyed."""
    models, medians = (found.first, found.second), found.found.shuffled
    evidence = {model.key: median for model, median in zip(models, medians, strict=True)}
    numbers = join([f"{m:.2f} ({one.spoken})" for one, m in zip(models, medians, strict=True)])
    asked = (
        "With the weights shuffled (Adebayo et al. 2018, arXiv 1810.03292), the map of an image resembles "
        f"the one before with a median rank correlation of {numbers}"
    )
    failed = [one.spoken for one, median in zip(models, medians, strict=True) if median >= HARDLY]
    if failed:
        text = (
            f"{asked}: those of {join(failed)} show the image more than what was learned; do not read them."
        )
        return Sentence(text, "explanations.unchanged", evidence, REFERENCES)
    return Sentence(f"{asked}: they hang on what was learned.", "explanations.changed", evidence, REFERENCES)


def _alike(found: Facts) -> Sentence | None:
    said: dict[Kind, str] = {
        "both right": "where both are right",
        "disagree": "where their answers differ",
        "both wrong": "where both give the same wrong answer",
    }
    medians = {kind: found.median(kind) for kind in said}
    parts = [
        f"{median:.2f} {said[kind]} ({len(found.found.rows[kind]):,})"
        for kind, median in medians.items()
        if median is not None
    ]
    if not parts:
        return None
    text = f"The two maps of an image resemble each other with a median rank correlation of {join(parts)}."
    return Sentence(text, "explanations.alike", medians, REFERENCES)


def _limits(found: Facts) -> Sentence:
    a, b = found.found.sides
    grid = f"{a} × {a}" if a == b else f"{a} × {a} and {b} × {b}"
    text = (
        f"Such maps are coarse, of {grid} fields, and of one layer: they do not show what is seen in a place,"
        " nor that the answer would change without it; a map that lies on the object is no proof that "
        "the answer comes from it."
    )
    return Sentence(text, "explanations.limits", {"sides": [a, b]}, REFERENCES)


def _title(study: Study) -> str:
    found = facts(study)
    assert found is not None
    rows = found.found.rows
    return (
        f"Of {len(found.found.index):,} test images the two disagree on {len(rows['disagree']):,} and share "
        f"{plural(len(rows['both wrong']), 'error')}"
    )


@floats.figure(
    "fig-explanations",
    "Each image, then under both models' maps, in the order of the lines below: bright where it speaks for "
    "that answer. Spread evenly, not chosen.",
    _title,
    when=facts,
    alternative="Test images, each beside itself under the maps of two models.",
    data=lambda study: _listed(study),
    wide=True,
)
def figure(study: Study) -> Drawn:
    """Show a few images of each kind, spread evenly over those that there are."""
    found = facts(study)
    assert found is not None
    return cards([_card(study, found, row, kind) for kind, row in _shown(found)], columns=3)


def _shown(found: Facts) -> Iterator[tuple[Kind, int]]:
    """Yield the rows of the images shown, each with its kind."""
    for kind, rows in found.found.rows.items():
        places = np.linspace(0, len(rows) - 1, min(EACH, len(rows))).round().astype(int)
        yield from ((kind, int(rows[place])) for place in np.unique(places))


def _listed(study: Study) -> Table:
    """List the same images with label, kind, answers, and how far their two maps resemble each other."""
    found = facts(study)
    assert found is not None
    maps, marks = found.found, letters(study)
    answers = [f"{marks[model.key]}: answer" for model in (found.first, found.second)]
    rows = [
        [
            str(maps.index[row]),
            name(study.test_files.get(int(maps.index[row]), ""), 300),
            name(study.classes[maps.target[row]], 300),
            SPOKEN[kind],
            *(name(study.classes[given[row]], 300) for given in maps.answers),
            f"{maps.alike[row]:.2f}",
        ]
        for kind, row in _shown(found)
    ]
    header = ["Image", "File", "Label", "Kind", *answers, "Rank correlation of the maps"]
    return table(header, rows, "rlllllr")


def _card(study: Study, found: Facts, row: int, kind: Kind) -> Card:
    maps, marks = found.found, letters(study)
    picture = Image.open(io.BytesIO(maps.pictures[row])).convert("RGB").resize((SIDE, SIDE))
    pictures = [_png(picture), *(_png(under(picture, one[row])) for one in maps.maps)]
    lines = [
        Line(short(study.classes[maps.target[row]], 60)),
        Line(f"No. {maps.index[row]}, {SPOKEN[kind]}", MUTED),
    ]
    for model, answers in zip((found.first, found.second), maps.answers, strict=True):
        tone = "" if answers[row] == maps.target[row] else BAD
        lines.append(Line(f"{marks[model.key]}: {short(study.classes[answers[row]], 60)}", tone))
    return Card(pictures, f"test image {maps.index[row]}, as it is and under both maps", lines)


def under(picture: Image.Image, heat: np.ndarray) -> Image.Image:
    """Return a picture in grey under a map uint8 [n, n]: dark where nothing speaks for the answer."""
    smooth = Image.fromarray(heat).resize(picture.size, Image.Resampling.BICUBIC)
    strength = np.asarray(smooth, np.float32)[..., None] / 255
    colored = mpl.colormaps["inferno"](strength[..., 0])[..., :3] * 255
    grey = np.asarray(picture.convert("L").convert("RGB"), np.float32)
    return Image.fromarray(np.uint8(np.clip(0.5 * grey + 0.5 * colored, 0, 255)))


def _png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
