"""Runs are grouped into models, and choices are made on val."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.report.study import Study
from tests.made_records import KINDS, SIZES, Made, MadeData, made_study, write_experiment
from tests.report.conftest import StudyOf

DATA = MadeData(train=100, val=100, test=100, near_duplicates=0)


def test_models_stand_in_params_order_with_their_seeds(study_of: StudyOf) -> None:
    study = study_of("transfer_wins")
    assert [group.key for group in study.models] == [
        "custom_cnn-scratch", "resnet18-scratch", "resnet18-linear_probe", "resnet18-fine_tune",
        "efficientnet_lite0-fine_tune",
    ]  # fmt: skip
    assert all(group.seeds == [0, 1, 2] for group in study.models)


def test_labels_are_for_people_and_unique(study_of: StudyOf) -> None:
    assert [group.label for group in study_of("one_seed").models][:2] == [
        "custom CNN",
        "ResNet-18, from scratch",
    ]
    twice = study_of("same_model_twice")
    assert [group.label for group in twice.models] == [
        "custom CNN (augmentation crop + flip, learning_rate 0.1)",
        "custom CNN (augmentation none, learning_rate 0.01)",
    ]
    assert [group.key for group in twice.models] == ["custom_cnn-scratch-1", "custom_cnn-scratch-2"]


def test_where_the_data_lie_does_not_make_another_model(tmp_path: Path) -> None:
    models = (Made(settings={"data_dir": "a"}), Made(settings={"data_dir": "b"}, seeds=(1,)))
    study = Study.from_records(*write_experiment(tmp_path, "x", DATA, models))
    assert [group.seeds for group in study.models] == [[0, 1]]


def test_the_best_transfer_model_is_chosen_on_val_not_on_test(tmp_path: Path) -> None:
    models = (Made(), Made("resnet18", "fine_tune", 0.9), Made("resnet18", "linear_probe", 0.8))
    study = Study.from_records(*write_experiment(tmp_path, "x", DATA, models))
    tuned, probe = study.models[1:]
    tuned.__dict__["val_accuracies"] = np.array([0.5])  # val says otherwise than test
    assert study.best_transfer is probe


def test_the_chosen_seed_is_the_best_on_val(study_of: StudyOf) -> None:
    group = study_of("transfer_wins").models[0]
    assert group.chosen.settings.seed == 2
    assert group.chosen_test is group.test[2]
    assert group.test_accuracy == pytest.approx(np.mean(group.test_accuracies))


def test_sides_are_none_when_nothing_ran_on_them(study_of: StudyOf) -> None:
    assert study_of("no_transfer").best_transfer is None
    assert study_of("no_scratch").best_scratch is None
    assert study_of("no_custom").custom is None
    assert study_of("all_failed").best is None


def test_a_model_keeps_its_whole_seeds_when_one_failed(study_of: StudyOf) -> None:
    study = study_of("failed_run")
    assert [group.seeds for group in study.models] == [[0], [0]]
    assert [study.names[record.run_id] for record in study.failures] == [
        "ResNet-18, fine-tuned", "EfficientNet-Lite0, fine-tuned"
    ]  # fmt: skip


def test_runs_on_other_test_images_stand_apart(tmp_path: Path) -> None:
    experiment, records = write_experiment(tmp_path / "a", "x", DATA, (Made(),))
    _, others = write_experiment(tmp_path / "b", "x", replace(DATA, test=90), (Made("resnet18"),))
    study = Study.from_records(experiment, [*records, *others])
    assert [group.key for group in study.models] == ["custom_cnn-scratch"]
    assert study.apart == others


def test_a_network_that_ran_three_ways_is_found(study_of: StudyOf) -> None:
    ways = study_of("one_seed").three_ways
    assert {name: list(found) for name, found in ways.items()} == {
        "resnet18": ["scratch", "linear_probe", "fine_tune"]
    }


def test_a_test_is_seen_from_the_model_that_is_asked_for(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    custom, lite = study.models[0], study.models[-1]
    assert study.test(lite, custom).difference > 0
    assert study.test(custom, lite) == study.test(lite, custom).reversed
    with pytest.raises(KeyError):
        study.test(lite, lite)


@pytest.mark.parametrize("kind", KINDS)
def test_all_evidence_can_be_drawn_from_every_kind_of_study(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    for group in study.models:
        assert group.accuracy.low <= group.accuracy.value <= group.accuracy.high
        assert group.f1_macro.low <= group.f1_macro.high
        assert group.calibration.temperature > 0
        assert group.learning is not None
        assert group.network is not None
        assert group.network.total_parameters in {size[0] for size in SIZES.values()}
        assert group.metrics.support.sum() == len(study.targets)
    assert len(study.tests) == len(study.models) * (len(study.models) - 1) // 2


@pytest.mark.slow
def test_evidence_of_eight_runs_on_ten_thousand_images_is_fast(tmp_path: Path) -> None:
    import time

    from pipeline.report.results_json import results

    data = MadeData(test=10_000, val=5_000)
    kinds = (("custom_cnn", "scratch"), ("resnet18", "scratch"), ("resnet18", "linear_probe"))
    models = [Made(name, mode, seeds=(0, 1)) for name, mode in (*kinds, ("resnet18", "fine_tune"))]
    study = Study.from_records(*write_experiment(tmp_path, "large", data, tuple(models)))
    started = time.process_time()
    results(study, "none")
    assert time.process_time() - started < 10  # 5 s on an idle machine


def test_made_studies_are_the_same_every_time(tmp_path: Path) -> None:
    first, second = (made_study(tmp_path / name, "tie") for name in "ab")
    assert first.models[0].test[0].probability.tolist() == second.models[0].test[0].probability.tolist()


def test_every_version_of_torch_that_trained_a_run_is_known(tmp_path: Path) -> None:
    models = (Made(seeds=(0, 1, 2)),)
    experiment, records = write_experiment(tmp_path, "x", DATA, models)
    place = records[1].details.environment
    assert place is not None
    newer = place.model_copy(update={"packages": {"torch": "2.16.0"}})
    details = records[1].details.model_copy(update={"environment": newer})
    study = Study.from_records(experiment, [records[0], replace(records[1], details=details), records[2]])
    assert study.torch_versions == ["2.15.0", "2.16.0"]
