"""Two reports are compared: settings, paired tests, and what neither shares."""

import json
from dataclasses import replace
from pathlib import Path

import pypandoc
import pytest

from pipeline import cli
from pipeline.errors import InputError
from pipeline.report.diff import Comparison, diff
from pipeline.report.diff_text import markdown
from pipeline.report.results_json import write
from pipeline.report.study import Study
from tests.made_records import Made, MadeData, write_experiment

DATA = MadeData(train=100, val=100, test=500, near_duplicates=0)
CUSTOM, TUNED = Made(accuracy=0.8, seeds=(0, 1)), Made("resnet18", "fine_tune", 0.85)


def written(folder: Path, name: str, *models: Made, data: MadeData = DATA) -> Path:
    """Write the results.json of made-up runs."""
    study = Study.from_records(*write_experiment(folder / name, name, data, models))
    write(folder / f"{name}.json", study, "embedded")
    return folder / f"{name}.json"


def changed(folder: Path) -> Comparison:
    better = replace(CUSTOM, accuracy=0.9, settings={"epochs": 20, "augmentation": ["flip"]})
    probe = Made("vgg16", "linear_probe", 0.7)
    return diff(written(folder, "a", CUSTOM, TUNED), written(folder, "b", better, probe))


def test_changed_settings_are_listed_with_both_values(tmp_path: Path) -> None:
    found = {(c.setting, str(c.before), str(c.after)) for c in changed(tmp_path).settings}
    assert found == {("epochs", "10", "20"), ("augmentation", "[]", "['flip']")}


def test_the_same_test_images_are_tested_in_pairs(tmp_path: Path) -> None:
    found = changed(tmp_path)
    assert found.same_images
    (model,) = found.models
    assert (model.before, model.after) == (pytest.approx(0.798), pytest.approx(0.898))
    assert model.test is not None
    assert model.test.difference == pytest.approx(0.1)
    assert model.test.low > 0
    assert model.test.distinguishable


def test_models_of_one_side_only_are_named(tmp_path: Path) -> None:
    found = changed(tmp_path)
    assert (found.only_first, found.only_second) == (["ResNet-18, fine-tuned"], ["VGG-16, linear probe"])


def test_a_report_does_not_differ_from_itself(tmp_path: Path) -> None:
    path = written(tmp_path, "a", CUSTOM, TUNED)
    found = diff(path, path)
    assert (found.settings, found.causes, found.only_first, found.only_second) == ([], [], [], [])
    assert not any(model.test and model.test.distinguishable for model in found.models)
    assert "The runs of all models are the same on both sides." in markdown(found)


def test_runs_that_both_sides_share_are_named_and_not_tested(tmp_path: Path) -> None:
    """A test of a run against itself would only cost the others their significance."""
    better = replace(TUNED, accuracy=0.95, settings={"epochs": 20})
    found = diff(written(tmp_path, "a", CUSTOM, TUNED), written(tmp_path, "b", CUSTOM, better))
    assert [(model.key, model.same_runs) for model in found.models] == [
        ("custom_cnn-scratch", True),
        ("resnet18-fine_tune", False),
    ]
    assert found.models[0].test is None
    assert found.models[1].test is not None
    assert found.models[1].test.p_holm == found.models[1].test.p
    assert "Better beyond noise: ResNet-18, fine-tuned. The same runs on both sides: 1." in markdown(found)


def test_other_runs_of_like_accuracy_are_within_noise(tmp_path: Path) -> None:
    other = replace(CUSTOM, settings={"epochs": 20})
    text = markdown(diff(written(tmp_path, "a", CUSTOM), written(tmp_path, "b", other)))
    assert "No model is better or worse beyond noise" in text


def test_other_test_images_are_not_tested_in_pairs(tmp_path: Path) -> None:
    first = written(tmp_path, "a", CUSTOM)
    second = written(tmp_path, "b", CUSTOM, data=replace(DATA, test=400))
    found = diff(first, second)
    assert not found.same_images
    assert found.models[0].test is None
    assert "cannot be tested in pairs" in markdown(found)


def test_more_seeds_are_a_change(tmp_path: Path) -> None:
    found = diff(written(tmp_path, "a", CUSTOM), written(tmp_path, "b", replace(CUSTOM, seeds=(0,))))
    assert [(c.setting, c.before, c.after) for c in found.settings] == [("seeds", [0, 1], [0])]


def test_markdown_becomes_a_table_and_a_list(tmp_path: Path) -> None:
    text = markdown(changed(tmp_path))
    page = pypandoc.convert_text(text, "html", format="gfm")
    assert page.count("<tr>") == 2
    assert "epochs: 10 → 20 (custom CNN)" in page
    assert "Better beyond noise: custom CNN." in page


def test_json_holds_unrounded_numbers(tmp_path: Path) -> None:
    found = json.loads(changed(tmp_path).to_json())
    assert found["models"][0]["test"]["p_holm"] < 0.01
    assert found["settings"][0] == {
        "model": "custom CNN",
        "setting": "augmentation",
        "before": [],
        "after": ["flip"],
    }


def test_a_change_that_is_alike_everywhere_is_said_once(tmp_path: Path) -> None:
    longer = [replace(made, settings={"epochs": 20}) for made in (CUSTOM, TUNED)]
    found = diff(written(tmp_path, "a", CUSTOM, TUNED), written(tmp_path, "b", *longer))
    assert markdown(found).count("epochs") == 1
    assert "(all models)" in markdown(found)


def test_all_failed_runs_leave_nothing_to_compare(tmp_path: Path) -> None:
    failed = written(tmp_path, "a", replace(TUNED, failed_seeds=(0,)))
    assert "The two have no model in common" in markdown(diff(failed, failed))


def _code(first: Path, second: Path) -> int:
    return cli.main(["diff", str(first), str(second), "--fail-if-worse"])


def test_fail_if_worse_fails_for_what_is_worse_beyond_noise_alone(tmp_path: Path) -> None:
    before = written(tmp_path, "a", CUSTOM, TUNED)
    worse = written(tmp_path, "b", CUSTOM, replace(TUNED, accuracy=0.7, settings={"epochs": 20}))
    assert _code(before, worse) == 1
    assert _code(worse, before) == 0  # better
    assert _code(before, before) == 0
    assert cli.main(["diff", str(before), str(worse)]) == 0  # not asked to
    like = written(tmp_path, "c", replace(CUSTOM, settings={"epochs": 20}), TUNED)
    assert _code(before, like) == 0  # within noise


def test_fail_if_worse_refuses_what_it_cannot_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = written(tmp_path, "a", CUSTOM)
    elsewhere = written(tmp_path, "b", CUSTOM, data=replace(DATA, test=400))
    assert _code(before, elsewhere) == 2
    assert "its test images are not those of" in capsys.readouterr().err
    assert _code(before, written(tmp_path, "c", TUNED)) == 2
    assert "no model in common" in capsys.readouterr().err


def test_a_side_may_be_the_folder_of_a_report(tmp_path: Path) -> None:
    path = written(tmp_path, "a", CUSTOM)
    (tmp_path / "report").mkdir()
    path.rename(tmp_path / "report" / "results.json")
    assert diff(tmp_path / "report", tmp_path / "report").models[0].same_runs
    with pytest.raises(InputError, match=r"results\.json: no such file"):
        diff(tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "not a results.json"),
        ("[1]", "not a results.json"),
        ('{"schema_version": 9}', "schema_version is 9, this Headstart reads 1"),
        ('{"schema_version": 1}', "not a whole results.json"),
    ],
)
def test_what_is_no_results_file_is_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        diff(path, path)
    assert "\n" not in str(caught.value)


def test_what_is_wrong_in_a_file_is_named_by_file_and_place(tmp_path: Path) -> None:
    good = written(tmp_path, "a", CUSTOM)
    content = json.loads(good.read_text(encoding="utf-8"))
    damaged = tmp_path / "b.json"
    for place, value, message in (
        ("runs", [], r"its run custom_cnn-scratch-s0-\w+ is not among the whole runs"),
        ("answer", 1, "answer: Input should be a valid list"),
        ("test_images", {**content["test_images"], "count": 9999}, "bits for 9999 images"),
    ):
        damaged.write_text(json.dumps({**content, place: value}), encoding="utf-8")
        with pytest.raises(InputError, match=message) as caught:
            diff(good, damaged)
        assert str(caught.value).startswith(f"{damaged}: not a whole results.json (")


def test_a_fault_of_ours_is_not_blamed_on_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(pairs: object) -> None:
        raise KeyError("ours")

    first, second = written(tmp_path, "a", CUSTOM), written(tmp_path, "b", replace(CUSTOM, accuracy=0.9))
    monkeypatch.setattr("pipeline.report.diff.compare_pairs", broken)
    with pytest.raises(KeyError, match="ours"):
        diff(first, second)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("nothing.json", "nothing"):
        with pytest.raises(InputError, match=rf"{name}: no such file\. Give a report's folder"):
            diff(tmp_path / name, tmp_path / name)
