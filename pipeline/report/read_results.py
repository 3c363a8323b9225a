"""Read a ``results.json`` back: what a comparison needs of it, checked, so that only bad files are blamed."""

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from pipeline.errors import InputError, one_line
from pipeline.report.results_json import SCHEMA_VERSION, unpacked


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class Run(_Part):
    """One run; ``test_correct`` is packed, and None where the run failed."""

    run_id: str
    seed: int
    settings: dict[str, Any]
    hashes: dict[str, str]
    test_correct: str | None = None


class Accuracy(_Part):
    """A mean over seeds, with its 95 % interval; fractions."""

    value: float
    low: float
    high: float


class Model(_Part):
    """One model over its runs, all of them whole; ``chosen`` is one of them."""

    key: str
    label: str
    runs: list[str]
    chosen: str
    accuracy: Accuracy


class Data(_Part):
    """What a study's images were."""

    name: str


class TestImages(_Part):
    """What the models were tested on."""

    count: int
    digest: str


class Results(_Part):
    """What a comparison reads of a ``results.json``; other keys are left alone."""

    title: str = ""
    dataset: Data | None = None
    best: str | None = None  # key of the best model on val
    runs: list[Run]
    models: list[Model]
    answer: list[str]
    test_images: TestImages | None

    @cached_property
    def by_id(self) -> dict[str, Run]:
        """The runs by their run_id."""
        return {run.run_id: run for run in self.runs}

    @cached_property
    def correct(self) -> dict[str, np.ndarray]:
        """Which test images each whole run got right, bool [images], by run_id."""
        images = self.test_images.count if self.test_images else 0
        packed = {run.run_id: run.test_correct for run in self.runs if run.test_correct is not None}
        return {run_id: unpacked(text, images) for run_id, text in packed.items()}

    @model_validator(mode="after")
    def _refers_to_its_own_runs(self) -> "Results":
        """Raise ValueError where a model's runs are not there, or where answers cannot be unpacked."""
        if self.models and self.test_images is None:
            raise ValueError("there are models, and no test_images")
        for model in self.models:
            if missing := [run for run in (*model.runs, model.chosen) if run not in self.correct]:
                raise ValueError(f"{model.key}: its run {missing[0]} is not among the whole runs")
            if model.chosen not in model.runs:
                raise ValueError(f"{model.key}: {model.chosen} is not one of its runs")
        return self


def read(path: Path) -> Results:
    """Read a ``results.json``. Raises InputError when it is missing, damaged or of another version."""
    content = _content(path)
    found = content.get("schema_version")
    if found != SCHEMA_VERSION:
        raise InputError(
            f"{path}: schema_version is {found!r}, this Headstart reads {SCHEMA_VERSION}. "
            "Make the report again."
        )
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "models"
        raise InputError(
            f"{path}: not a whole results.json ({where}: {one_line(first['msg'], 120)}). "
            "Make the report again."
        ) from None


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Give a results.json or a report's folder.") from None
    except RecursionError:
        raise InputError(f"{path}: not a results.json (nested too deeply).") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a results.json ({one_line(error, 120)}).") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a results.json (no keys and values).")
    return content
