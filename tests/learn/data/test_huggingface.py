"""A data set saved by the datasets library is read as any other; what is missing is said in one line."""

import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import DataError
from pipeline.experiment import RunSettings
from pipeline.learn.data import sources
from pipeline.learn.data.split import split
from tests.learn.made_images import picture


def settings(**changes: object) -> RunSettings:
    return RunSettings(**{"dataset": "huggingface", "data_dir": "data", "name": "saved", **changes})


@pytest.fixture
def saved(workplace: Path) -> Path:
    """Twelve images of cats and dogs to train on, and four to test."""
    datasets = pytest.importorskip("datasets", reason="the datasets library is not installed")
    label = datasets.ClassLabel(names=["cat", "dog"])
    features = datasets.Features(
        {"image": datasets.Image(), "label": label, "camera": datasets.Value("int32")}
    )

    def part(count: int, first: int) -> object:
        rows = {
            "image": [picture(first + i) for i in range(count)],
            "label": [i % 2 for i in range(count)],
            "camera": [first + i // 2 for i in range(count)],
        }
        return datasets.Dataset.from_dict(rows, features=features)

    folder = workplace / "data" / "saved"
    datasets.DatasetDict({"train": part(12, 0), "test": part(4, 100)}).save_to_disk(str(folder))
    return folder


def test_a_saved_data_set_has_its_parts_classes_and_pixels(saved: Path) -> None:
    contents = sources.find(settings())

    assert contents.classes == ["cat", "dog"]
    assert contents.counts == {"train": [6, 6], "test": [2, 2]}
    assert np.array_equal(np.asarray(contents.parts["test"].read(1)), np.asarray(picture(101)))
    assert len(split(contents, settings()).val) == 2
    assert sources.fingerprint(settings()) == sources.fingerprint(settings())


def test_a_column_of_a_saved_data_set_says_what_belongs_together(saved: Path) -> None:
    grouped = settings(group="camera")
    contents = sources.find(grouped)
    chosen = split(contents, grouped)

    groups = np.array(contents.parts["train"].groups)
    assert len(set(groups)) == 6
    assert not set(groups[chosen.train.positions]) & set(groups[chosen.val.positions])


def test_without_the_library_its_install_command_is_said(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"pip install 'headstart\[huggingface\]'"):
        sources.find(settings())


def test_offline_fetches_nothing_and_a_missing_name_is_said(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "--offline")
    with pytest.raises(DataError, match="--offline forbids to fetch it"):
        sources.find(settings())
    with pytest.raises(DataError, match="name does not say which"):
        sources.find(settings(name=None))
