"""What is said of explanation maps is what the maps show."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.record import EXPLANATIONS_VERSION, MAP_SIDE, RunRecord
from pipeline.report.chapters import explanations
from pipeline.report.evidence.explanations import explained
from pipeline.report.look import section
from pipeline.report.results_json import results
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP
from tests.made_records import Made, write_experiment
from tests.report.chapters.tools import DATA

IMAGES = 60


def picture(seed: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


def explain(record: RunRecord, shuffled: float, images: int = IMAGES) -> None:
    """Write maps that brighten from left to right for what is right, and from top to bottom otherwise."""
    test = record.split("test")
    across = np.tile(np.linspace(0, 255, MAP_SIDE).astype(np.uint8), (MAP_SIDE, 1))
    maps = [across if right else across.T for right in test.correct[:images]]
    table = pd.DataFrame(
        {
            "index": test.index[:images],
            "answer": test.predicted[:images],
            "map": [np.ascontiguousarray(one).tobytes() for one in maps],
            "picture": [picture(k) for k in range(images)],
            "shuffled": shuffled,
        }
    )
    record.write_beside("explanations.parquet", table, version=EXPLANATIONS_VERSION, layer="stages", side=4)


def made(folder: Path, shuffled: float = 0.1, explain_it: bool = True) -> Study:
    models = (Made(accuracy=0.6), Made("resnet18", "fine_tune", 0.8))
    experiment, records = write_experiment(folder, "made", DATA, models)
    for record in records:
        explain(record, shuffled)
    return Study.from_records(experiment.model_copy(update={"explain": explain_it}), records)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return made(tmp_path_factory.mktemp("explained"))


def said(study: Study) -> dict[str, str]:
    return {one.rule: one.text.replace(NBSP, " ") for one in explanations.words(study)}


def test_each_image_is_of_one_kind(study: Study) -> None:
    found = explanations.facts(study)
    assert found is not None
    rows = found.found.rows
    assert sorted(np.concatenate(list(rows.values()))) == list(range(IMAGES))
    first, second = (model.chosen_test.predicted[:IMAGES] for model in study.compared)
    assert len(rows["disagree"]) == (first != second).sum() > 0
    both = (first == second) & (first == study.targets[:IMAGES])
    assert len(rows["both right"]) == both.sum() > 0


def test_maps_that_are_alike_correlate_and_others_do_not(study: Study) -> None:
    found = explanations.facts(study)
    assert found is not None
    assert found.median("both right") == pytest.approx(1)
    assert found.found.alike.min() == pytest.approx(0, abs=1e-6)
    assert "correlation of 1.00 where both are right" in said(study)["explanations.alike"]


def test_maps_that_outlive_their_weights_are_not_to_be_read(study: Study, tmp_path: Path) -> None:
    assert "correlation of 0.10" in said(study)["explanations.changed"]
    stubborn = said(made(tmp_path, shuffled=0.9))
    assert "do not read them" in stubborn["explanations.unchanged"]
    assert "explanations.changed" not in stubborn


def test_what_maps_cannot_show_is_always_said(study: Study) -> None:
    assert "4 × 4 fields" in said(study)["explanations.limits"]


def test_figure_shows_a_few_images_of_each_kind(study: Study) -> None:
    found = explanations.facts(study)
    assert found is not None
    shown = sum(min(explanations.EACH, len(rows)) for rows in found.found.rows.values())
    assert explanations.figure(study).content.page.count("<li>") == shown
    assert explanations.figure(study).content.page.count("<img") == 3 * shown


def test_a_picture_is_dark_where_nothing_speaks_for_the_answer() -> None:
    heat = np.zeros((MAP_SIDE, MAP_SIDE), np.uint8)
    heat[:, MAP_SIDE // 2 :] = 255
    drawn = np.asarray(explanations.under(Image.new("RGB", (32, 32), (200, 200, 200)), heat), float)
    assert drawn[:, -4:].mean() > drawn[:, :4].mean() + 50


def test_nothing_is_there_where_nothing_was_asked(tmp_path: Path) -> None:
    quiet = made(tmp_path, explain_it=False)
    assert list(explanations.words(quiet)) == []
    assert "content-hidden" in section.opening(explanations.facts(quiet)).data
    assert "explanations" not in results(quiet, "none")
    assert set(results(made(tmp_path / "asked"), "none")["explanations"]["counts"]) == {
        "disagree", "both wrong", "both right",
    }  # fmt: skip


def test_maps_of_other_images_are_not_compared(tmp_path: Path) -> None:
    study = made(tmp_path)
    explain(study.models[0].chosen, 0.1, IMAGES - 1)
    again = Study.from_records(study.experiment, [RunRecord.read(r.folder) for r in study.records])
    assert explained(*again.compared) is None
    assert explanations.facts(again) is None
