"""The whole study against the tutorial-style script: same work, told with intervals."""

from pathlib import Path
from typing import Any

import pytest

from bench import study
from pipeline.experiment import Experiment
from tests.learn.made_images import write_classes


def images(folder: Path) -> Path:
    for split, count in (("train", 24), ("test", 8)):
        write_classes(folder / split, {"cat": count, "dog": count}, (32, 32))
    return folder


def test_a_share_of_the_epochs_is_taken_of_each_model(tmp_path: Path) -> None:
    shipped = Experiment.from_yaml(study.PARAMS).runs

    runs = study._written(study.study(tmp_path, 0.25), tmp_path / "study")

    assert [(r.model, r.mode) for r in runs] == [(r.model, r.mode) for r in shipped]
    assert [r.epochs for r in runs] == [max(1, round(r.epochs / 4)) for r in shipped]
    assert runs[-1].head_epochs == 1
    assert {r.max_train_images for r in runs} == {None}


def test_accuracies_stand_beside_each_other_with_their_intervals() -> None:
    one = {"seconds": 9.0, "accuracies": [0.5]}

    told = study._with_intervals({"ours": one, "tutorial": one}, 100)

    (low, high) = told["ours"]["intervals"][0]
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)  # Wilson's, of 50 of 100
    assert told["ours"] == told["tutorial"]


@pytest.mark.slow
def test_the_script_trains_every_kind_of_model_of_the_study(tmp_path: Path) -> None:
    content: dict[str, Any] = study.study(images(tmp_path / "images"), 0.01)
    content["batch_size"] = 8
    for entry in content["models"]:
        entry["image_size"] = 32

    found = study.tutorial_study(content, tmp_path / "study")

    assert len(found["accuracies"]) == 4
    assert all(0 <= accuracy <= 1 for accuracy in found["accuracies"])
    drawn = {path.name for path in (tmp_path / "study").glob("*.png")}
    assert "efficientnet_lite0-fine_tune-confusion.png" in drawn
    assert len(drawn) == 8
