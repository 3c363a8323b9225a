from pathlib import Path

from tests.made_records import Made
from tests.report.chapters.tools import (
    rules,
    said,
    study_with,
)


def test_a_difference_that_holm_does_not_grant_is_not_claimed(tmp_path: Path) -> None:
    ways = [Made("resnet18", "scratch", 0.80), Made("resnet18", "linear_probe", 0.845)]
    others = [
        Made(accuracy=0.82),
        Made("vgg16", "fine_tune", 0.83),
        Made("efficientnet_lite0", "fine_tune", 0.84),
    ]
    text = said(study_with(tmp_path, *ways, *others), "pretraining.linear_probe.undecided")
    assert "a difference that chance makes among 10 pairs (95 % interval 0." in text
    assert "corrected for all by Holm" in text


def test_fine_tuning_may_lose_against_frozen_features(tmp_path: Path) -> None:
    study = study_with(tmp_path, Made("resnet18", "linear_probe", 0.9), Made("resnet18", "fine_tune", 0.7))
    assert "loses 20.0 points against leaving its features frozen" in said(study, "pretraining.tuning.loss")


def test_a_network_that_ran_both_ways_and_learned_one_way_is_not_said_not_to_have_run(tmp_path: Path) -> None:
    ways = [Made("resnet18", "scratch", 0.1), Made("resnet18", "fine_tune", 0.8)]
    study = study_with(tmp_path, Made(accuracy=0.9), *ways)

    assert "no network is shown to have learned both with and without" in said(
        study, "answer.pretraining.unknown"
    )
    assert said(study, "pretraining.unknown").startswith("No network is shown to have learned anything both")
    assert "no network learned both ways" in said(study, "short.caveat.not-separated")


def test_ways_that_learned_nothing_are_not_called_equivalent(tmp_path: Path) -> None:
    ways = [Made("resnet18", mode, 0.1) for mode in ("scratch", "linear_probe", "fine_tune")]
    study = study_with(tmp_path, *ways)

    assert said(study, "pretraining.unknown").startswith("No network is shown to have learned anything both")
    assert not rules(study) & {"pretraining.fine_tune.equivalent", "pretraining.tuning.equivalent"}
