"""A model card is made from records alone, in the form that the Hugging Face Hub reads."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from huggingface_hub.utils import validate_repo_id
from sklearn.metrics import f1_score

from pipeline import cli
from pipeline.inference import card, source
from pipeline.record import RunRecord
from pipeline.report import results_json
from tests.made_records import made_study
from tests.report.chapters.tools import said

pytestmark = pytest.mark.usefixtures("inside")


def test_card_is_one_that_the_hub_reads_with_the_scores_of_the_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "README.md"
    assert cli.main(["card", "reports/made", "-o", str(path)]) == 0
    assert "to fill in" in capsys.readouterr().out
    data = ModelCard.load(path).data
    test = RunRecord.read(Path("runs/run")).split("test")
    assert {found.metric_type: found.metric_value for found in data.eval_results or []} == {
        "accuracy": pytest.approx(test.correct.mean(), abs=1e-4),
        "f1": pytest.approx(f1_score(test.target, test.predicted, average="macro"), abs=1e-4),
    }
    assert data.to_dict()["pipeline_tag"] == "image-classification"
    assert (data.license, data.datasets, data.base_model) == ("unknown", ["digits"], None)
    assert data.library_name == "headstart"


def test_card_and_report_call_the_same_answers_unsure(tmp_path: Path) -> None:
    study = made_study(tmp_path, "one_seed")
    model = study.best
    assert model is not None
    below = model.unsure_below
    assert below.chosen_on_val
    written = {one["key"]: one for one in results_json.results(study, "embedded")["models"]}
    assert written[model.key]["unsure_below"] == asdict(below)
    text = card.card(source.Chosen(model.chosen, "a label"))
    assert f"a calibrated probability of at least {below.confidence} " in text
    told = said(study, "calibration.coverage")
    assert f"only when at least {below.confidence} sure ({below.reason})" in told
    assert told.endswith("headstart predict calls the others unsure.")


def test_card_says_how_the_network_was_chosen_and_where_it_started(tmp_path: Path) -> None:
    study = made_study(tmp_path, "one_seed")
    for record in study.records:
        (record.folder / "model.safetensors").write_bytes(b"")
    results = tmp_path / "reports" / "made" / "results.json"
    results_json.write(results, study, "embedded")
    best = card.card(source.choose(results))
    assert "best on val of the 5 models" in best
    assert ModelCard(best).data.base_model
    named = card.card(source.choose(results, study.models[0].key))
    assert "named among the 5 models" in named
    alone = card.card(source.choose(study.models[0].chosen.folder))
    assert "not recorded" in alone
    assert "best on val of" not in alone


def test_weights_of_any_name_become_an_id_that_the_hub_takes(tmp_path: Path) -> None:
    record = next(r for r in made_study(tmp_path, "one_seed").records if r.settings.pretrained)
    assert record.details.model is not None
    for name in ("resnet18-1.0", "my own (best) wéights.pth", "../x--y", "重み"):
        network = record.details.model.model_copy(update={"weights_name": name})
        object.__setattr__(record, "details", record.details.model_copy(update={"model": network}))
        found = ModelCard(card.card(source.Chosen(record, "a label"))).data.base_model
        validate_repo_id(found)
        assert found == name or name != "resnet18-1.0"


def test_only_what_nobody_else_knows_is_left_to_fill_in() -> None:
    text = card.card(source.choose("runs/run"))
    assert text.count(card.TO_FILL) == 5  # use, data, two licences, contact: no pretrained weights
    for heading in ("Intended use", "Data", "Training", "Results", "How it was chosen", "Limits"):
        assert f"\n## {heading}\n" in text


@pytest.mark.parametrize("kind", ["hostile_names", "long_names", "hundred_classes", "perfect"])
def test_any_names_stay_text(tmp_path: Path, kind: str) -> None:
    record = made_study(tmp_path, kind).models[0].chosen
    text = card.card(source.Chosen(record, "a label", 2, 1))
    assert ModelCard(text).data.eval_results
    assert "<script>" not in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in tables} <= {3, 4}


def test_a_file_of_somebody_s_own_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "README.md"
    path.write_text("# Mine\n", encoding="utf-8")
    assert cli.main(["card", "runs/run", "-o", str(path)]) == 2
    assert "no card that Headstart wrote" in capsys.readouterr().err
    assert path.read_text(encoding="utf-8") == "# Mine\n"
    assert card.beside(tmp_path / "model.onnx") == tmp_path / "model.md"
    path.unlink()
    assert cli.main(["card", "runs/run", "-o", str(path)]) == 0
    assert cli.main(["card", "runs/run", "-o", str(path)]) == 0  # one that it wrote itself
    assert card.beside(tmp_path / "model.onnx") == path


@pytest.mark.parametrize(
    ("name", "said"), [("card.txt", "must end in .md"), ("no/card.md", "no such folder")]
)
def test_a_card_that_cannot_be_written_is_refused(
    capsys: pytest.CaptureFixture[str], name: str, said: str
) -> None:
    assert cli.main(["card", "runs/run", "-o", name]) == 2
    assert said in capsys.readouterr().err


def test_report_whose_run_is_gone_or_damaged_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = json.loads(Path("reports/made/results.json").read_text())
    path = tmp_path / "results.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    for damage in (None, "record.json", "predictions.parquet"):
        runs = tmp_path / f"runs-{damage}"
        if damage:
            (runs / "run").mkdir(parents=True)
            for file in Path("runs/run").iterdir():
                (runs / "run" / file.name).write_bytes(file.read_bytes())
            (runs / "run" / damage).write_bytes(b"{")
        output = tmp_path / "card.md"
        assert cli.main(["card", str(path), "--runs", str(runs), "-o", str(output)]) == 2
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert ("gone" if damage is None else "damaged") in said
        assert not output.exists()


def test_a_card_and_a_file_are_written_both_or_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def full_at_the_second(*_: object) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.files.os.fsync", full_at_the_second)
    assert cli.main(["export", "runs/run", "--to", "torch", "-o", str(tmp_path / "model.pt2")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
