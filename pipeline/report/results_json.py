"""results.json: everything the report says, for machines. Numbers are unrounded, fractions between 0 and 1.

``runs`` and ``answer`` are the contract others rely on; the rest repeats the report's evidence.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.files import write_json
from pipeline.record import RunRecord
from pipeline.report import findings
from pipeline.report.chapters import (
    conditions,
    contest,
    data_efficiency,
    elsewhere,
    explanations,
    groups,
    recommendations,
    verdict,
)
from pipeline.report.evidence.baselines import COMMONEST, Baseline
from pipeline.report.evidence.interval import Score
from pipeline.report.evidence.scores import Metrics, metrics
from pipeline.report.model import Model
from pipeline.report.sizes import smaller_labels, train_images
from pipeline.report.study import Study

SCHEMA_VERSION = 1
MOST_WHOLE = 100  # classes up to which a confusion matrix is written whole
SCORES = ("accuracy", "precision_macro", "recall_macro", "f1_macro")


def write(path: Path, study: Study, engine: str) -> None:
    """Write results.json, whole or not at all; folders are made as needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, results(study, engine))
    findings.write_beside(path.parent, study)


def results(study: Study, engine: str) -> dict[str, Any]:
    """Return the content of results.json. ``engine`` names the renderer of the report."""
    best, best_transfer, said = study.best, study.best_transfer, verdict(study)
    content = {
        "schema_version": SCHEMA_VERSION,
        "experiment": study.experiment.name,
        "title": study.experiment.title,
        "engine": engine,
        "classes": study.classes,
        "dataset": study.dataset.model_dump() if study.dataset else None,
        "test_images": _test_images(study),
        "runs": _runs(study),
        "models": [_model(study, model) for model in study.models],
        "best": best.key if best else None,
        "best_transfer": best_transfer.key if best_transfer else None,
        "answer": [sentence.text for sentence in said["answer"]],
        "verdict": [
            {"section": section, **sentence.as_dict}
            for section, sentences in said.items()
            for sentence in sentences
        ],
        "recommendations": [
            {"situation": found.situation, "choice": found.choice, **found.sentence.as_dict}
            for found in recommendations.recommendations(study)
        ],
        "data_efficiency": data_efficiency.results(study),
        "tuning": contest.results(study),
        "baselines": [_baseline(study, one) for one in study.baselines],
        "tests": study.tests,
        "per_class": _per_class(study),
        "agreement": study.agreement,
        "missed_by_all": _named(study, study.missed_by_all),
        "label_issues": _named(study, study.label_issues),
    }
    return {key: plain(value) for key, value in (content | _asked_for(study)).items()}


def _asked_for(study: Study) -> dict[str, Any]:
    """Return what only some studies have: groups, measured images, worse conditions, maps, other images."""
    found = {
        "groups": groups.facts(study),
        "conditions": conditions.results(study),
        "external_test": elsewhere.results(study),
        "explanations": explanations.results(study),
    }
    measured: dict[str, Any] = {}
    if study.images is not None:
        measured["shortcuts"] = study.found_shortcuts
        measured["image_properties"] = study.shortcuts
        measured["slices"] = study.slices
    return {key: value for key, value in found.items() if value} | measured


def plain(value: Any) -> Any:
    """Return what JSON can hold of dataclasses, arrays and numbers; NaN and infinity become null."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items()}
    if isinstance(value, np.ndarray) and (value.dtype.kind in "biu" or _finite(value)):
        return value.tolist()
    if isinstance(value, list | tuple | np.ndarray):
        return [plain(content) for content in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _finite(values: np.ndarray) -> bool:
    return values.dtype.kind == "f" and bool(np.isfinite(values).all())


def _records(study: Study) -> list[RunRecord]:
    """Return all runs, failed ones and those apart included, in the order of the params file."""
    found = {
        (record.settings.model_dump_json()): record
        for record in (*study.records, *study.failures, *study.apart, *study.smaller)
    }
    asked = [settings.model_dump_json() for settings in study.experiment.runs]
    ordered = [found.pop(settings) for settings in asked if settings in found]
    return [*ordered, *found.values()]


def _runs(study: Study) -> list[dict[str, Any]]:
    known = {
        record.run_id: (val, test)
        for model in study.models
        for record, val, test in zip(
            model.records, model.val_metrics_per_seed, model.metrics_per_seed, strict=True
        )
    }
    labels = study.names | smaller_labels(study.smaller, study.headline, study.names)
    return [_run(labels[record.run_id], record, known.get(record.run_id)) for record in _records(study)]


def _run(label: str, record: RunRecord, known: tuple[Metrics, Metrics] | None) -> dict[str, Any]:
    """Describe one run; ``known`` are its scores on val and test where a model has them already."""
    details = record.details
    content: dict[str, Any] = {
        "run_id": record.run_id,
        "label": label,
        "model": record.settings.model,
        "mode": record.settings.mode,
        "seed": record.settings.seed,
        "train_images": train_images(record),
        "status": details.status,
        "settings": record.settings.effective(),
        "hashes": details.hashes,
    }
    if not record.complete:
        failure = details.failure
        return {**content, "failure": failure.model_dump(exclude={"traceback"}) if failure else None}
    val, test = known or [metrics(record.split(name)) for name in ("val", "test")]
    return {
        **content,
        "test": _scores(test),
        "val": _scores(val),
        "test_correct": packed(record.split("test").correct),
        "best_epoch": details.best_epoch,
        "stop_reason": details.stop_reason,
        "timings": details.timings.model_dump() if details.timings else None,
        "environment": details.environment.model_dump() if details.environment else None,
    }


def _scores(found: Metrics) -> dict[str, Any]:
    """Return the headline scores and the confusion matrix (rows true) of one run on one split."""
    return {
        **{name: getattr(found, name) for name in SCORES},
        "balanced_accuracy": found.recall_macro,
        "confusion_matrix": _matrix(found.confusion_matrix),
    }


def _matrix(counts: np.ndarray) -> Any:
    """Return a confusion matrix whole, or of many classes the cells that are not zero, row by row."""
    if len(counts) <= MOST_WHOLE:
        return counts
    true, predicted = counts.nonzero()
    cells = {"true": true, "predicted": predicted, "count": counts[true, predicted]}
    return {"classes": len(counts), **cells}


def _named(study: Study, found: Sequence[Any]) -> list[Any]:
    """Return what is said of test images, with the file of each where images have files."""
    if not study.test_files:
        return list(found)
    return [{**plain(one), "file": study.test_files.get(one.index)} for one in found]


def _model(study: Study, model: Model) -> dict[str, Any]:
    return {
        "key": model.key,
        "label": model.label,
        "model": model.name,
        "mode": model.mode,
        "runs": [record.run_id for record in model.records],
        "chosen": model.chosen.run_id,
        "val_accuracy": model.val_accuracy,
        "accuracy": _score(model.accuracy),
        "f1_macro": _score(model.f1_macro),
        "precision_macro": model.mean("precision_macro"),
        "recall_macro": model.mean("recall_macro"),
        "per_class": {
            name: getattr(model.metrics, name) for name in ("precision", "recall", "f1", "support")
        },
        "calibration": model.calibration,
        "coverage": model.coverage,
        "unsure_below": model.unsure_below,
        "learning": model.learning,
        "cost": model.cost,
        "without_duplicates": model.without_duplicates,
        "most_confused": model.most_confused(),
        "confident_mistakes": _named(study, model.confident_mistakes()),
    }


def _baseline(study: Study, found: Baseline) -> dict[str, Any]:
    below = study.unlearned if found.name == COMMONEST else []
    return {
        "name": found.name,
        "settings": found.settings,
        "seconds": found.seconds,
        "val": _scores(found.val),
        "test": {**_scores(found.test), "low": found.accuracy.low, "high": found.accuracy.high},
        "not_beaten_by": [
            model.key for model in (*below, *(m for m, other in study.below_baselines if other is found))
        ],
    }


def _score(score: Score) -> dict[str, Any]:
    """Return a score with, in words, which variation its interval covers."""
    seeds = len(score.per_seed)
    what = f"and of the seed (mean of {seeds})" if seeds > 1 else "not of the seed (one run)"
    return {**plain(score), "covers": f"the choice of test images, {what}"}


def _per_class(study: Study) -> dict[str, Any] | None:
    pair = study.pair
    if pair is None:
        return None
    first, second = pair
    return {
        "first": first.key,
        "second": second.key,
        "classes": [{**plain(one), "difference": one.difference} for one in study.per_class],
    }


def _test_images(study: Study) -> dict[str, Any] | None:
    """Return how many test images there are, and a digest that other results share if theirs are the same."""
    if not study.models:
        return None
    test, dataset = study.models[0].test[0], study.dataset
    digest = hashlib.sha256(dataset.fingerprint.encode() if dataset else b"")
    digest.update(test.index.astype("<i8").tobytes() + test.target.astype("<i8").tobytes())
    return {"count": len(test.index), "digest": digest.hexdigest()}


def packed(correct: np.ndarray) -> str:
    """Return one bit per image, right or wrong, as base64: what paired tests between reports need."""
    return base64.b64encode(np.packbits(correct).tobytes()).decode("ascii")


def unpacked(text: str, images: int) -> np.ndarray:
    """Return what ``packed`` was given, bool [images]. Raises ValueError for text it did not write."""
    bits = np.unpackbits(np.frombuffer(base64.b64decode(text, validate=True), np.uint8))
    if not images <= len(bits) < images + 8:
        raise ValueError(f"holds {len(bits)} bits for {images} images")
    return bits[:images].astype(bool)
