"""What is said of worse conditions and of images from elsewhere is what the answers there show."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.record import CONDITIONS, CONDITIONS_VERSION, RunRecord
from pipeline.report.chapters import conditions, elsewhere
from pipeline.report.evidence.conditions import answers, of_pair
from pipeline.report.look import section
from pipeline.report.results_json import results
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP
from tests.made_records import Made, write_experiment
from tests.report.chapters.tools import DATA, grid


def sentences(study: Study) -> dict[str, str]:
    """What both chapters say, by rule, with plain spaces."""
    both = (*conditions.words(study), *elsewhere.words(study))
    return {sentence.rule: sentence.text.replace(NBSP, " ") for sentence in both}


SCRATCH = Made("resnet18", "scratch", 0.74, seeds=(0, 1))
PROBE = Made("resnet18", "linear_probe", 0.80, seeds=(0, 1))
TUNED = Made("resnet18", "fine_tune", 0.90, seeds=(0, 1))


def weakened(record: RunRecord, loss: float) -> None:
    """Write answers under worse conditions that miss a share of the images that were right."""
    test, rng = record.split("test"), np.random.default_rng(record.settings.seed)
    parts = []
    for condition in CONDITIONS:
        for strength in (1, 2, 3):
            wrong = rng.random(len(test.target)) < loss * strength / 2
            prediction = np.where(wrong, (test.target + 1) % 10, test.predicted)
            parts.append(
                pd.DataFrame({"condition": condition, "strength": strength, "index": test.index,
                              "target": test.target, "prediction": prediction, "probability": 0.5})
            )  # fmt: skip
    record.write_beside("conditions.parquet", pd.concat(parts), version=CONDITIONS_VERSION, side=32)


def asked(folder: Path, *made: tuple[Made, float]) -> Study:
    experiment, records = write_experiment(folder, "made", DATA, tuple(one for one, _ in made))
    loss = {(one.model, one.mode): share for one, share in made}
    for record in records:
        weakened(record, loss[record.settings.model, record.settings.mode])
    return Study.from_records(experiment.model_copy(update={"robustness": True}), records)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A fine-tuned network that loses much, a probe and a network from scratch that lose little."""
    return asked(tmp_path_factory.mktemp("asked"), (SCRATCH, 0.1), (PROBE, 0.1), (TUNED, 0.5))


def test_accuracies_are_those_of_the_answers(study: Study) -> None:
    found = conditions.facts(study)
    assert found is not None
    record = study.models[0].records[0]
    table = record.conditions
    assert table is not None
    right = (table["prediction"] == table["target"]).to_numpy()
    of_blur = right[((table["condition"] == "blur") & (table["strength"] == 3)).to_numpy()]
    key = study.models[0].key
    assert found.found[key].by_condition["blur"][2].per_seed[0] == pytest.approx(of_blur.mean())
    assert found.found[key].clean.value == pytest.approx(study.models[0].test_accuracy)
    assert found.found[key].worse.per_seed[0] == pytest.approx(right.mean())


def test_who_loses_more_is_said_beyond_noise(study: Study) -> None:
    tuned, probe = study.models[2].key, study.models[1].key
    found = conditions.facts(study)
    assert found is not None
    assert of_pair(found.kept, tuned, probe).verdict == "second"
    assert "it loses more than the probe, beyond noise" in sentences(study)["conditions.tuning.second"]
    text = sentences(study)["conditions.pretraining.second"]
    assert "less there, beyond noise" in text
    assert found.steadiest != tuned
    assert "conditions.keeps_more" in sentences(study)


def test_models_that_lose_alike_are_not_ranked(tmp_path: Path) -> None:
    level = asked(tmp_path, (SCRATCH, 0.2), (replace(TUNED, accuracy=0.742), 0.2))
    assert not {"conditions.keeps_most", "conditions.keeps_more"} & sentences(level).keys()
    assert "from the other it cannot be told" in sentences(level)["conditions.level"]


def test_table_lists_every_model_and_condition(study: Study) -> None:
    rows = grid(conditions.kept(study))
    assert len(rows) == 4
    assert len(rows[0]) == 1 + 1 + len(CONDITIONS) + 2
    assert conditions.figure(study).content[0].axes[0].get_title(loc="left") == "Blur"


def test_numbers_stand_in_results_only_where_they_were_asked_for(study: Study) -> None:
    content = results(study, "none")
    assert set(content["conditions"]["models"]) == {model.key for model in study.models}
    assert "external_test" not in content
    quiet = replace(study, experiment=study.experiment.model_copy(update={"robustness": False}))
    assert "conditions" not in results(quiet, "none")
    assert list(conditions.words(quiet)) == []
    assert "content-hidden" in section.opening(conditions.facts(quiet)).data


def test_a_model_whose_runs_were_not_all_asked_is_left_out(tmp_path: Path) -> None:
    study = asked(tmp_path, (SCRATCH, 0.2), (TUNED, 0.2))
    record = study.models[0].records[1]
    (record.folder / "conditions.parquet").unlink()
    again = Study.from_records(study.experiment, [RunRecord.read(r.folder) for r in study.records])
    found = conditions.facts(again)
    assert answers(again.models[0]) is None
    assert found is not None
    assert list(found.models) == [again.models[1].key]


def elsewhere_study(folder: Path, right: dict[str, float]) -> Study:
    experiment, records = write_experiment(folder, "made", DATA, (SCRATCH, TUNED))
    target = np.repeat(np.arange(5), 60)
    for record in records:
        rng = np.random.default_rng(record.settings.seed)
        good = rng.random(len(target)) < right[record.settings.mode]
        table = pd.DataFrame(
            {"file": [f"{k}.png" for k in range(len(target))], "target": target,
             "prediction": np.where(good, target, target + 1), "probability": 0.5}
        )  # fmt: skip
        record.write_beside("external.parquet", table, fingerprint="f")
    return Study.from_records(experiment.model_copy(update={"external_test": "other"}), records)


def test_images_from_elsewhere_are_compared_with_test_images_of_their_classes(tmp_path: Path) -> None:
    study = elsewhere_study(tmp_path, {"scratch": 0.72, "fine_tune": 0.5})
    found = elsewhere.facts(study)
    assert found is not None
    assert (found.images, found.classes) == (300, 5)
    tuned = study.models[1]
    rows = np.isin(tuned.test[0].target, range(5))
    expected = found.scores[tuned.key].value - tuned.correct[:, rows].mean()
    assert found.changes[tuned.key].value == pytest.approx(expected)
    assert "less than on test images of the same classes" in sentences(study)["elsewhere.changes"]
    assert "does better than fine-tuned" in sentences(study)["elsewhere.another"]
    assert grid(elsewhere.scores(study))[0][0] == "Model"
    assert set(results(study, "none")["external_test"]["models"]) == {model.key for model in study.models}


def test_the_choice_by_val_may_hold_elsewhere(tmp_path: Path) -> None:
    study = elsewhere_study(tmp_path, {"scratch": 0.6, "fine_tune": 0.9})
    assert "No model does better there" in sentences(study)["elsewhere.holds"]
    assert "elsewhere.another" not in sentences(study)
