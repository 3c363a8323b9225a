"""How many images: told where models ran at several sizes, and told as what it is."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pipeline.report import results_json
from pipeline.report.chapters import answer, data_efficiency
from pipeline.report.look import section
from pipeline.report.look.paragraph import NOTHING
from pipeline.report.study import Study
from tests.made_records import Made, MadeData
from tests.report.chapters.tools import grid, rules, said, study_with, with_words
from tests.report.conftest import StudyOf

DATA = MadeData(train=4000, val=200, test=1500, near_duplicates=0, label_errors=0)
SIZES = (100, 300, 1000, None)


def study_of_curves(
    folder: Path, cnn: Sequence[float], tuned: Sequence[float] = (), sizes: Sequence[int | None] = SIZES
) -> Study:
    """Return a study of a CNN, and of a fine-tuned network where its accuracies are given."""
    models = [
        Made(model, mode, accuracy, settings={"train_size": size} if size else {})
        for model, mode, curve in (("custom_cnn", "scratch", cnn), ("resnet18", "fine_tune", tuned))
        for accuracy, size in zip(curve, sizes, strict=bool(curve))
    ]
    return study_with(folder, *models, data=DATA)


def test_only_runs_on_all_images_are_models_of_the_study(study_of: StudyOf) -> None:
    study = study_of("sizes")
    assert [model.label for model in study.models] == ["custom CNN", "EfficientNet-Lite0, fine-tuned"]
    assert all(record.settings.train_size is None for record in study.records)
    assert len(study.smaller) == 12
    assert {row[0][2:] for row in grid(answer.headline(study))[1:]} == set(study.names.values())


def test_crossing_is_found_between_the_sizes_around_it(study_of: StudyOf) -> None:
    study = study_of("sizes")
    found = data_efficiency.results(study)
    assert found is not None
    meeting = found["crossover"]
    assert 1200 < meeting["low"] < meeting["images"] < meeting["high"] < 4500
    assert not meeting["extrapolated"]
    about = data_efficiency.images_words(meeting["images"])
    text = said(study, "data_efficiency.crossover.found")
    assert f"catches up with fine-tuned EfficientNet-Lite0 at about {about} training images" in text
    assert f"below about {about} training images" in said(study, "answer.images")
    assert with_words(data_efficiency.figure(study).content, f"level at about {about}")


def test_results_hold_the_accuracy_of_each_size(study_of: StudyOf) -> None:
    content = results_json.results(study_of("sizes"), "none")
    curve = content["data_efficiency"]["models"]["custom_cnn-scratch"]
    assert curve["sizes"] == [100, 300, 1200, 4500]
    runs = {(run["train_images"], run["seed"]): run for run in content["runs"] if run["mode"] == "scratch"}
    assert len(runs) == 8
    expected = np.mean([runs[300, seed]["test"]["accuracy"] for seed in (0, 1)])
    assert curve["accuracy"][1] == pytest.approx(expected)
    for low, mean, high in zip(curve["low"], curve["accuracy"], curve["high"], strict=True):
        assert low < mean < high
    assert runs[300, 0]["label"] == "custom CNN, 300 images"


def test_nothing_of_it_is_told_where_all_ran_on_all_images(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    assert data_efficiency.results(study) is None
    assert list(data_efficiency.words(study)) == data_efficiency.in_short(study) == []
    assert "content-hidden" in section.opening(study.efficiencies).data
    assert section.opening(study_of("sizes").efficiencies).data == NOTHING


def test_curves_that_do_not_meet_are_not_said_never_to(tmp_path: Path) -> None:
    study = study_of_curves(tmp_path, (0.30, 0.38, 0.45, 0.50), (0.80, 0.86, 0.90, 0.925))
    found = data_efficiency.results(study)
    assert found is not None
    assert found["crossover"] is None
    assert found["why"] == "not within 10 times these data"
    text = said(study, "data_efficiency.crossover.not-within-10-times-these-data")
    assert "whether they do with more, these runs cannot say" in text


def test_crossing_beyond_the_data_is_called_an_extrapolation(tmp_path: Path) -> None:
    study = study_of_curves(tmp_path, (0.40, 0.60, 0.74, 0.84), (0.80, 0.84, 0.87, 0.885))
    found = data_efficiency.results(study)
    assert found is not None
    assert found["crossover"]["extrapolated"]
    assert found["crossover"]["images"] > 4000
    text = said(study, "data_efficiency.crossover.found")
    assert "an extrapolation of the fitted curves beyond the 4,000" in text
    assert "an extrapolation beyond these data" in said(study, "answer.images")


def test_two_sizes_say_nothing_beyond_them(tmp_path: Path) -> None:
    study = study_of_curves(tmp_path, (0.4, 0.6), (0.8, 0.84), (300, None))
    text = said(study, "data_efficiency.crossover.fewer-than-three-sizes")
    assert "beyond that nothing can be said, since there are fewer than three sizes" in text
    assert "data_efficiency.reach" not in rules(study)
    assert grid(data_efficiency.fits(study))[1][-2:] == ["–", "–"]


def test_one_seed_is_said_to_leave_the_luck_of_training_out(tmp_path: Path, study_of: StudyOf) -> None:
    study = study_of_curves(tmp_path, (0.40, 0.60, 0.74, 0.84))
    assert "test images alone" in said(study, "data_efficiency.one_seed")
    assert "data_efficiency.one_seed" not in rules(study_of("sizes"))
    found = data_efficiency.results(study)
    assert found is not None
    assert found["crossover"] is None


def test_failed_run_on_few_images_leaves_a_gap_and_no_failed_model(tmp_path: Path) -> None:
    models = [
        Made(
            accuracy=accuracy,
            settings={"train_size": size} if size else {},
            failed_seeds=(0,) if size == 300 else (),
        )
        for accuracy, size in zip((0.4, 0.6, 0.74, 0.84), SIZES, strict=True)
    ]
    study = study_with(tmp_path, *models, data=DATA)
    assert study.failures == []
    assert said(study, "data_efficiency.failed") == "One run on fewer images failed and left a gap."
    assert study.efficiencies[0].curve.sizes == (100, 1000, 4000)


@pytest.mark.parametrize(
    ("count", "shown"), [(87.4, "87"), (134, "130"), (2134.2, "2,100"), (9960, "10,000"), (48_321, "48,000")]
)
def test_numbers_of_images_are_rounded_to_what_a_curve_knows(count: float, shown: str) -> None:
    assert data_efficiency.images_words(count) == shown


def test_budget_is_told(tmp_path: Path, study_of: StudyOf) -> None:
    small = Made(accuracy=0.5, settings={"train_size": 100, "budget": "epochs"})
    study = study_with(tmp_path, small, Made(accuracy=0.8), data=DATA)
    assert "fewer images also mean fewer steps" in said(study, "data_efficiency.sizes")
    assert "as many steps as on all images" in said(study_of("sizes"), "data_efficiency.sizes")
