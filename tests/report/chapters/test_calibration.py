from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.confidence import scale
from pipeline.report.chapters import calibration
from pipeline.report.evidence.tests import holm
from tests.made_records import Made, MadeData
from tests.report.chapters.tools import (
    said,
    study_with,
)
from tests.report.conftest import StudyOf


def test_a_temperature_that_raises_the_ece_is_not_said_to_lower_it(study_of: StudyOf) -> None:
    text = said(study_of("scratch_wins"), "calibration.temperature")
    assert "log loss 0.97 to 0.90, though the ECE rises from 15.7 % to 16.9 %" in text


def test_reliability_is_that_of_the_bins(study_of: StudyOf) -> None:
    study = study_of("one_model")
    axes = calibration.figure(study).content[0].axes[0]
    bins = study.models[0].calibration.before.bins
    marks = axes.lines[-1]
    assert marks.get_xdata() == pytest.approx(bins.confidence)
    assert marks.get_ydata() == pytest.approx(bins.accuracy)


def test_coverage_ends_at_the_accuracy_on_all_images(study_of: StudyOf) -> None:
    study = study_of("one_model")
    line = calibration.figure(study).content[1].axes[0].lines[0]
    model = study.models[0]
    split = scale(model.chosen_test, model.calibration.temperature)
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (1.0, split.correct.mean())
    sure = split.probability.max(axis=1) >= 0.5
    assert any(
        np.isclose(x, sure.mean()) and np.isclose(y, split.correct[sure].mean())
        for x, y in zip(line.get_xdata(), line.get_ydata(), strict=True)
    )


def test_of_a_handful_of_test_images_no_chart_of_the_surest_is_drawn(tmp_path: Path) -> None:
    data = MadeData(train=40, val=20, test=12, near_duplicates=0, label_errors=0)
    assert len(calibration.figure(study_with(tmp_path, Made(), data=data)).content) == 1  # reliability alone


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_shares_stay_between_none_and_all(tmp_path: Path, accuracy: float) -> None:
    data = MadeData(train=40, val=20, test=22, near_duplicates=0, label_errors=0)
    axes = calibration.figure(study_with(tmp_path, Made(accuracy=accuracy), data=data)).content[1].axes[0]
    low, high = axes.get_ylim()
    assert low >= -0.02
    assert high <= 1.02
    assert all(0 <= tick <= 1 for tick in axes.get_yticks())


def test_calibration_of_many_models_is_judged_together(study_of: StudyOf) -> None:
    """Of five calibrated models, one in four studies has one whose ECE alone looks like more than chance."""
    study = study_of("one_seed")
    found = calibration.facts(study)
    assert found is not None
    each = [one.found.before.p for one in found.every]
    assert [one.p for one in found.every] == pytest.approx(holm(np.array(each)))
    lucky = replace(found.every[0], p=0.06)
    assert lucky.kind == "fair"
