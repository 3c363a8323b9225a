"""The command line: exit codes, one-line errors, and nothing lost."""

import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from pipeline import cli
from pipeline.cleaning import note_study
from pipeline.cli import main
from pipeline.experiment import Experiment
from pipeline.job import run_lock
from pipeline.plan import plan
from pipeline.record import RunRecord
from pipeline.report.render import Rendered
from tests.conftest import ROOT


def error_of(capfd: pytest.CaptureFixture[str]) -> str:
    lines = capfd.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.parametrize("command", ["run", "render", "report", "why"])
def test_bad_params_file_exits_2_in_one_line(
    workplace: Path, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    Path("x.yaml").write_text("models: [{model: custom_cnn, epoch: 3}]", encoding="utf-8")

    assert main([command, "x.yaml"]) == 2
    assert error_of(capfd) == "headstart: x.yaml: models[0]: unknown key 'epoch'. Did you mean 'epochs'?"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["reprot", "x.yaml"], "Did you mean 'report'? headstart --help tells more."),
        (["report", "x.yaml", "--engine", "Quarto"], "Did you mean 'quarto'?"),
        (
            ["report", "x.yaml", "--jobs", "0"],
            "argument --jobs: '0'; it must be a whole number of at least 1.",
        ),
        (["report", "x.yaml", "y.yaml"], "unrecognized arguments: y.yaml."),
        ([], "the following arguments are required: command. headstart --help tells more."),
    ],
)
def test_wrong_arguments_exit_2_in_one_line(
    capfd: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(arguments)

    assert expected in error_of(capfd)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("models: [{model: resnet81}]", "resnet18"),
        ("dataset: cifar11\nmodels: [custom_cnn]", "cifar10"),
        ("dataset: image_folder\ndata_dir: nowhere\nmodels: [custom_cnn]", "nowhere"),
    ],
)
def test_bad_model_or_data_exits_2_and_names_a_remedy(
    workplace: Path, capfd: pytest.CaptureFixture[str], settings: str, expected: str
) -> None:
    Path("x.yaml").write_text(settings, encoding="utf-8")

    assert main(["run", "x.yaml"]) == 2
    assert expected in error_of(capfd)
    assert not list(Path("runs").glob("*-*"))


def test_folder_without_permission_exits_2(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("file").touch()
    Path("x.yaml").write_text("runs_dir: file/runs\nmodels: [custom_cnn]", encoding="utf-8")

    assert main(["run", "x.yaml"]) == 2
    assert "file/runs: cannot be made" in error_of(capfd)


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run", "--jobs", "0"], ["run", "--jobs", "two"], ["report", "--engine", "word"]],
)
def test_bad_arguments_exit_2(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_unknown_format_exits_2(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["report", "x.yaml", "--to", "docx"]) == 2
    assert "'docx' is unknown; it must be html, pdf or html,pdf." in error_of(capfd)


def test_debug_shows_the_traceback(workplace: Path) -> None:
    with pytest.raises(Exception, match="no such file"):
        main(["run", "none.yaml", "--debug"])


def noted(*run_ids: str, folder: str = ".") -> None:
    """Note that ``old.yaml``, which is gone, asked for these runs."""
    note = Path("runs/.locks/study-0.json")
    note.parent.mkdir(parents=True, exist_ok=True)
    content = {"params_file": str(Path(folder, "old.yaml").absolute()), "run_ids": run_ids}
    note.write_text(json.dumps(content), encoding="utf-8")


def test_clean_leaves_a_run_that_a_process_works_on_alone(
    workplace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("x.yaml").write_text("models: [custom_cnn]", encoding="utf-8")
    Path("runs/.begun-scratch-s0-12345678.partial").mkdir(parents=True)
    noted("begun-scratch-s0-12345678")

    with run_lock(Path("runs"), "begun-scratch-s0-12345678"):
        assert main(["clean", "x.yaml", "--yes"]) == 0
    assert "0 folders" in capfd.readouterr().out
    assert Path("runs/.begun-scratch-s0-12345678.partial").is_dir()

    assert main(["clean", "x.yaml", "--yes"]) == 0
    assert not Path("runs/.begun-scratch-s0-12345678.partial").exists()


def test_clean_says_how_large_each_folder_is(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text("models: [custom_cnn]", encoding="utf-8")
    folder = Path("runs/old-scratch-s0-12345678")
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(b"x" * 2_300_000)
    noted(folder.name)

    main(["clean", "x.yaml", "--yes"])

    listed, total, removed = capfd.readouterr().out.splitlines()
    assert listed.split() == ["2.3", "MB", str(folder)]
    assert total == "1 folder, 2.3 MB, that no params file refers to."
    assert removed == "Removed."


def test_why_says_that_a_killed_run_goes_on(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text("models: [custom_cnn]", encoding="utf-8")
    (planned,) = plan(Experiment.from_yaml("x.yaml"))
    partial = planned.folder.parent / f".{planned.run_id}.partial"
    partial.mkdir(parents=True)
    (partial / "checkpoint.pt").touch()

    assert main(["why", "x.yaml"]) == 0
    said = f"{planned.run_id}: begun; it goes on from its last checkpoint\n"
    assert capfd.readouterr().out == said


def test_clean_asks_first_and_keeps_what_params_refer_to(
    workplace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("runs/old-scratch-s0-12345678", "runs/.begun-scratch-s0-12345678.partial", "runs/mine"):
        Path(name).mkdir(parents=True)
    Path("runs/old-scratch-s0-12345678/record.json").write_text("{}", encoding="utf-8")
    Path("x.yaml").write_text("models: [custom_cnn]", encoding="utf-8")
    monkeypatch.setattr("builtins.input", lambda question: "n")
    noted("old-scratch-s0-12345678", "begun-scratch-s0-12345678")

    assert main(["clean", "x.yaml"]) == 0
    assert "2 folders" in capfd.readouterr().out
    assert Path("runs/old-scratch-s0-12345678").is_dir()

    assert main(["clean", "x.yaml", "--yes"]) == 0
    assert [path.name for path in Path("runs").iterdir() if path.name != ".locks"] == ["mine"]


def made_run(name: str) -> Path:
    folder = Path("runs") / name
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.mark.parametrize("made_by", [None, "/a disk that is elsewhere"])
def test_clean_keeps_what_it_cannot_place(
    workplace: Path, capfd: pytest.CaptureFixture[str], made_by: str | None
) -> None:
    Path("x.yaml").write_text("models: [custom_cnn]", encoding="utf-8")
    folder = made_run("copied-scratch-s0-12345678")
    if made_by:
        noted(folder.name, folder=made_by)

    assert main(["clean", "x.yaml", "--yes"]) == 0
    assert folder.is_dir()
    first, total = capfd.readouterr().out.splitlines()
    assert first.endswith(f"{folder}  kept: no params file known here made it; remove it by hand")
    assert total == "0 folders, 0.0 MB, that no params file refers to."


@pytest.mark.parametrize("other", ["params/mine.yml", "params/sub/x.yaml", "elsewhere.yaml"])
def test_clean_keeps_the_runs_of_every_study_that_made_some(workplace: Path, other: str) -> None:
    for name, seed in (("params/one.yaml", 0), (other, 1)):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(f"seed: {seed}\nmodels: [custom_cnn]", encoding="utf-8")
    experiment = Experiment.from_yaml(other)
    (planned,) = plan(experiment)
    note_study(experiment, [planned])
    folder = made_run(planned.run_id)

    assert main(["clean", "--yes"]) == 0
    assert main(["clean", "params/one.yaml", "--yes"]) == 0
    assert folder.is_dir()

    Path(other).write_text("seed: 2\nmodels: [custom_cnn]", encoding="utf-8")  # it asks for another run now
    assert main(["clean", "params/one.yaml", "--yes"]) == 0
    assert not folder.exists()


@pytest.mark.parametrize("edit", ["models: [resnet18]", "models: [", None])
def test_a_params_file_edited_meanwhile_changes_no_report(
    workplace: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, edit: str | None
) -> None:
    params, shown = Path("x.yaml"), list[Any]()
    params.write_text("models: [custom_cnn]", encoding="utf-8")

    def made(experiment: Experiment, how: object) -> list[RunRecord]:
        if edit:
            params.write_text(edit, encoding="utf-8")
        return []

    def rendered(*given: object) -> Rendered:
        shown.append(given[-1])
        return Rendered({}, "none")

    monkeypatch.setattr(cli, "_records", made)
    monkeypatch.setattr("pipeline.report.render.render", rendered)
    monkeypatch.setattr("pipeline.forker.warm_processes", lambda _: nullcontext())  # nothing is rendered

    assert main(["report", "x.yaml", "--engine", "embedded"]) == 0
    assert [settings.model for settings in shown[0].runs] == ["custom_cnn"]
    said = "headstart: x.yaml was edited meanwhile: the report is of what it asked for before."
    assert (said in capfd.readouterr().err) == bool(edit)


def test_output_may_be_cut_off_by_its_reader(workplace: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "init", "study"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate(timeout=60)

    assert process.returncode == 141
    assert said == b""


@pytest.mark.slow
def test_report_and_runs_are_written_where_the_command_is_given(workplace: Path) -> None:
    Path("tiny.yaml").write_text(
        "dataset: digits\nmax_train_images: 100\nepochs: 1\n"
        "models: [{model: custom_cnn, widths: [4], depth: 1, optimizer: sgd, learning_rate: 0.1}]\n",
        encoding="utf-8",
    )
    command = [sys.executable, "-m", "pipeline", "render", "tiny.yaml", "--engine", "embedded"]
    done = subprocess.run(
        [*command, "--to", "html"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "reports/tiny.html"
    (run,) = json.loads(Path("reports/tiny/results.json").read_text(encoding="utf-8"))["runs"]
    assert (Path("runs") / run["run_id"] / "record.json").is_file()
