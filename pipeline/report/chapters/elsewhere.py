"""On images from elsewhere: ``external_test``, scored and compared with test, and never chosen by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.report.evidence.interval import Interval, Score, accuracy, difference_of_shares
from pipeline.report.evidence.tests import Comparison, compare
from pipeline.report.look import floats
from pipeline.report.look.paragraph import Words
from pipeline.report.look.table import Table, name, table
from pipeline.report.model import Model
from pipeline.report.study import Study
from pipeline.report.words.english import join, plural
from pipeline.report.words.numbers import percent, percent_range, points, points_range
from pipeline.report.words.sentence import Sentence

REFERENCES = ("tbl-elsewhere",)


@dataclass(frozen=True)
class Facts:
    """Each model's accuracy there, its change against test, and the tests of each two models there."""

    models: Mapping[str, Model]  # by key
    scores: Mapping[str, Score]
    changes: Mapping[str, Interval]  # there minus test
    tests: Sequence[Comparison]
    images: int
    classes: int  # of the study's, that have images there


def facts(study: Study) -> Facts | None:
    """Return what is known; None where nothing was asked, or the models answered different images."""
    if not study.experiment.external_test:
        return None
    tables = {model.key: [record.external for record in model.records] for model in study.models}
    asked = {key: [t for t in found if t is not None] for key, found in tables.items()}
    asked = {key: found for key, found in asked.items() if found and len(found) == len(tables[key])}
    every = [table for found in asked.values() for table in found]
    if not every or any(list(table["file"]) != list(every[0]["file"]) for table in every):
        return None
    target = every[0]["target"].to_numpy()
    correct = {
        key: np.stack([(t["prediction"] == t["target"]).to_numpy() for t in found])
        for key, found in asked.items()
    }
    return Facts(
        {key: study.model(key) for key in asked},
        {key: accuracy(right) for key, right in correct.items()},
        {key: _change(right, study.model(key), target) for key, right in correct.items()},
        compare(correct, study.margin),
        len(target),
        len(np.unique(target)),
    )


def _change(there: np.ndarray, model: Model, target: np.ndarray) -> Interval:
    """Return accuracy there minus accuracy on test images of the same classes, unpaired (Newcombe)."""
    here = model.correct[:, np.isin(model.test[0].target, np.unique(target))]
    a, b = float(there.mean()), float(here.mean())
    n, m = there.shape[1], here.shape[1]
    return difference_of_shares(a, n, b, m)


def words(study: Study) -> Words:
    """Say how accuracy changes there, and whether the report's choice holds there."""
    found = facts(study)
    return Words(study, [_asked(found), _changes(found), _choice(study, found)] if found else [])


def results(study: Study) -> dict[str, Any] | None:
    """Return what results.json holds; None where nothing was asked."""
    found = facts(study)
    if found is None:
        return None
    return {
        "folder": study.experiment.external_test,
        "images": found.images,
        "classes": found.classes,
        "models": {
            key: {"accuracy": found.scores[key], "change": found.changes[key]} for key in found.models
        },
        "tests": found.tests,
    }


def _asked(found: Facts) -> Sentence:
    text = (
        f"The networks answered {plural(found.images, 'image')} from elsewhere, of "
        f"{plural(found.classes, 'class', 'classes')}. Nothing was trained on them or chosen by them."
    )
    return Sentence(text, "elsewhere.asked", {"images": found.images}, REFERENCES)


def _changes(found: Facts) -> Sentence:
    lower = {key: one for key, one in found.changes.items() if one.high < 0}
    higher = {key: one for key, one in found.changes.items() if one.low > 0}
    rest = [found.models[key].spoken for key in found.changes if key not in lower and key not in higher]
    parts = [
        f"{found.models[key].spoken} gets {percent(found.scores[key].value)} right there, "
        f"{points(one.value)} {'less' if key in lower else 'more'} than on test images of the same classes "
        f"(95 % interval {points_range(one.low, one.high)})"
        for key, one in {**lower, **higher}.items()
    ]
    if rest:
        parts.append(f"of {join(rest)} a change against test cannot be told from the choice of images")
    text = "; ".join(parts) + "."
    return Sentence(text[0].upper() + text[1:], "elsewhere.changes", found.changes, REFERENCES)


def _choice(study: Study, found: Facts) -> Sentence | None:
    """Say whether another model does better there than the best on val."""
    best = study.best
    if best is None or best.key not in found.models or len(found.models) < 2:
        return None
    seen = [t if t.first == best.key else t.reversed for t in found.tests if best.key in (t.first, t.second)]
    better = [found.models[test.second].spoken for test in seen if test.better == test.second]
    if better:
        does = "does" if len(better) == 1 else "do"
        text = f"There {join(better)} {does} better than {best.spoken}, the best on val, beyond noise."
        return Sentence(text, "elsewhere.another", {"tests": seen}, REFERENCES)
    text = f"No model does better there than {best.spoken}, the best on val, beyond noise."
    return Sentence(text, "elsewhere.holds", {"tests": seen}, REFERENCES)


@floats.table(
    "tbl-elsewhere",
    "Of several seeds the mean, with its 95 % interval; change against test images of the same classes, 95 % "
    "interval in points (Newcombe 1998).",
    floats.named("Accuracy on images from elsewhere"),
    when=facts,
)
def scores(study: Study) -> Table:
    """List each model's accuracy there and its change against test."""
    found = facts(study)
    assert found is not None
    rows = [
        [
            name(found.models[key].label),
            percent(score.value),
            percent_range(score.low, score.high),
            points_range(found.changes[key].low, found.changes[key].high),
        ]
        for key, score in found.scores.items()
    ]
    return table(["Model", "Accuracy there", "95 % interval", "Change against test"], rows, "lrrr")
