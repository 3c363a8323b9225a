"""The list of suspects beside a report: named, complete, and never in place of an audit's."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd

from pipeline.record import Copies, Duplicates
from pipeline.report import findings
from pipeline.report.evidence.errors import LabelIssue


def study() -> Any:
    """Eight images: the second of test is the first of train again, the third resembles one of val."""
    splits = ["train"] * 4 + ["val"] * 2 + ["test"] * 4
    images = pd.DataFrame(
        {
            "split": splits,
            "index": [0, 1, 2, 3, 0, 1, 0, 1, 2, 3],
            "target": [0, 1] * 5,
            "file": [f"{split}/{i}.png" for i, split in enumerate(splits)],
            "pixels": ["a", "b", "c", "d", "e", "f", "g", "a", "h", "i"],
            "width": 32,
            "height": 32,
            "contrast": 0.2,
            "sharpness": 1.0,
            "level_05": 0.1,
            "level_99": 0.9,
        }
    )
    none = Copies(searched=4)
    test_in_val = Copies(searched=4, near=[2], near_of=[1])
    copies = Duplicates(rule="", test_in_train=none, test_in_val=test_in_val, val_in_train=none,
                        train_across_classes=none)  # fmt: skip
    dataset = SimpleNamespace(duplicates=copies, unreadable=["train/broken.png"], fingerprint="f")
    issue = LabelIssue(3, 1, 0, 0.02, 0.95, True)
    return SimpleNamespace(images=images, dataset=dataset, classes=["cat", "dog"], label_issues=[issue])


def test_suspects_bear_files_reasons_and_what_to_do(tmp_path: Path) -> None:
    findings.write_beside(tmp_path, study())

    found = pd.read_csv(tmp_path / "suspects.csv", keep_default_na=False)
    assert list(zip(found["file"], found["reason"], strict=True)) == [
        ("test/9.png", "label_error"),
        ("test/7.png", "exact_copy"),
        ("test/8.png", "near_copy"),
        ("train/broken.png", "unreadable"),
    ]
    assert found["evidence"][0] == "cat 95.0 %, dog 2.0 %, by the models"
    assert found["suggestion"][1] == "decide which class is right, dog or cat; keep one"
    assert "val/5.png (val, dog)" in found["evidence"][2]


def test_the_list_of_an_audit_of_the_same_images_stays(tmp_path: Path) -> None:
    (tmp_path / "suspects.csv").write_text("file\n")
    (tmp_path / "audit.json").write_text(json.dumps({"fingerprints": ["f"]}))
    findings.write_beside(tmp_path, study())
    assert (tmp_path / "suspects.csv").read_text() == "file\n"

    (tmp_path / "audit.json").write_text(json.dumps({"fingerprints": ["other"]}))
    findings.write_beside(tmp_path, study())
    assert "label_error" in (tmp_path / "suspects.csv").read_text()
