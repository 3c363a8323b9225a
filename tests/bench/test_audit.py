"""What the bench plants is what it counts: wrong labels and copies, found or not."""

from pathlib import Path

import pandas as pd
import pytest

from bench.audit import Found, plant, score, table
from pipeline.suspects import COLUMNS
from tests.learn.made_images import write_classes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for split in ("train", "test"):
        write_classes(tmp_path / split, {"cat": 12, "dog": 12, "cow": 12})
    return tmp_path


def rows(*found: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [(file, "train", "cat", reason, evidence, "") for file, reason, evidence in found],
        columns=list(COLUMNS),
    )


def test_faults_are_planted_where_it_is_told(data: Path) -> None:
    planted = plant(data, seed=1, wrong=6, copies=9)

    assert len(planted.wrong) == 6
    assert len(planted.copies) == 9
    assert all((data / file).is_file() for file in (*planted.wrong, *planted.copies))
    for copy, (original, place, way) in planted.copies.items():
        split, label, _ = copy.split("/")
        assert (split == original.split("/")[0]) == (place != "split")
        assert (label == original.split("/")[1]) == (place != "class")
        same = (data / copy).read_bytes() == (data / original).read_bytes()
        assert same if way == "bytes" else copy.endswith({"lossless": ".png", "changed": ".jpg"}[way])
    assert len(list(data.rglob("*.*"))) == 72 + 9


def test_only_what_was_planted_counts_as_found(data: Path) -> None:
    planted = plant(data, seed=1, wrong=6, copies=9)
    one, *_ = sorted(planted.wrong)
    copy, (original, *how) = next(item for item in planted.copies.items() if item[1][1] == "split")
    found = rows(
        (one, "label_error", "…"),
        ("train/cat/000.png", "label_error", "…"),
        (original, "exact_copy", f"all pixels equal those of {copy} (test, cat)"),
        ("train/cat/001.png", "near_copy", "the same picture as train/cat/002.png (train, cat)"),
    )

    scores = score(found, planted)

    assert scores["wrong labels"] == Found(6, 1, 2)
    assert scores["copies"] == Found(9, 1, 2)
    assert scores[f"copies: {how[1]}"].found == scores["copies: split"].found == 1
    assert "| copies | 2 of 18 (11 %) | 50 % of 4 | 1 of 9, 1 of 9 |" in table([scores, scores])
