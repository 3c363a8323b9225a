"""From a params file to whole runs: kept, tried again, taken up, never lost."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import nbformat
import numpy as np
import psutil
import pytest

from pipeline.cli import main
from pipeline.errors import RunError
from pipeline.experiment import Experiment
from pipeline.forker import SWITCH
from pipeline.plan import PlannedRun, reasons
from pipeline.record import RunRecord
from pipeline.report.render import Rendered
from pipeline.run import Options, _is_missing, describe_failure, ensure, run
from tests.conftest import ROOT, interruptible
from tests.made_records import KINDS, write_experiment

pytestmark = pytest.mark.usefixtures("forked_runs")
TINY = """
dataset: digits
max_train_images: 200
threads: 1
epochs: 2
batch_size: 64
models:
  - {model: custom_cnn, widths: [8, 16], depth: 1, optimizer: sgd, learning_rate: 0.1}
"""
DIVERGING = "optimizer: sgd, learning_rate: 100, weight_decay: 10, epochs: 60"
FAILING = TINY + "  - {model: custom_cnn, widths: [8], depth: 1, " + DIVERGING + "}\n"


def write(text: str, name: str = "tiny.yaml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def tiny(forked_runs: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunRecord]:
    """A folder with one whole run in it, and that run."""
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (record,) = run(Experiment.from_yaml(write(TINY)))
    return folder, RunRecord.read(folder / record.folder)


def test_run_folder_holds_what_the_design_says(tiny: tuple[Path, RunRecord]) -> None:
    folder, record = tiny

    assert {path.name for path in record.folder.iterdir()} == {
        "settings.yaml",
        "train.ipynb",
        "history.csv",
        "predictions.parquet",
        "baselines.json",
        "images.parquet",
        "gallery.parquet",
        "model.safetensors",
        "record.json",
    }
    assert record.run_id.startswith("custom_cnn-scratch-s0-")
    assert [path.name for path in (folder / "runs").glob("*")] == [record.run_id] or [".locks"]


def test_predictions_cover_each_split_once(tiny: tuple[Path, RunRecord]) -> None:
    record = tiny[1]
    assert record.details.dataset is not None
    for name in ("val", "test"):
        split = record.split(name)
        assert len(split.index) == record.details.dataset.split_sizes[name] == len(set(split.index))
        np.testing.assert_allclose(split.probability.sum(axis=1), 1, atol=1e-5)


def test_executed_notebook_shows_what_it_did(tiny: tuple[Path, RunRecord]) -> None:
    notebook = nbformat.read(tiny[1].folder / "train.ipynb", as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    drawn = [output for cell in code for output in cell.outputs if "image/png" in output.get("data", {})]

    assert all(cell.execution_count for cell in code)
    assert len(drawn) >= 4  # samples, augmented, curves, confusion matrix
    assert "epoch 2/2" in str([cell.outputs for cell in code if cell.id == "fit"])


def test_whole_run_is_not_run_again(tiny: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, record = tiny
    monkeypatch.chdir(folder)
    written = (record.folder / "record.json").stat().st_mtime_ns

    (again,) = run(Experiment.from_yaml("tiny.yaml"))

    assert again.run_id == record.run_id
    assert (record.folder / "record.json").stat().st_mtime_ns == written


def test_models_take_turns_seed_by_seed(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What else the machine does then meets the times of all models alike."""
    asked: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "pipeline.run.run_here",
        lambda jobs, *_: asked.extend((len(job.settings["widths"]), job.settings["seed"]) for job in jobs),
    )
    text = TINY + "  - {model: custom_cnn, widths: [8], depth: 1}\nseeds: [1, 0]\n"
    with pytest.raises(RunError, match="left no record"):
        run(Experiment.from_yaml(write(text)))
    assert asked == [(2, 0), (1, 0), (2, 1), (1, 1)]


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("title: Another title\n", "whole"),
        ("# a comment\n", "whole"),
        ("num_workers: 2\n", "whole"),
        ("head_epochs: 7\n", "whole"),
        ("label_smoothing: 0.1\n", "new"),
        ("split_seed: 1\n", "new"),
        ("precision: fp32\n", None),
    ],
)
def test_only_what_can_change_a_result_gives_a_new_run(
    tiny: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch, change: str, state: str | None
) -> None:
    monkeypatch.chdir(tiny[0])
    environment = tiny[1].details.environment
    assert environment is not None
    expected = state or ("whole" if environment.precision == "fp32" else "new")

    (reason,) = reasons(Experiment.from_yaml(write(change + TINY, "changed.yaml")))

    assert reason.state == expected


def test_why_names_the_setting_that_changed(
    tiny: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny[0])

    (reason,) = reasons(Experiment.from_yaml(write("label_smoothing: 0.1\n" + TINY, "changed.yaml")))

    changed = "label_smoothing (0.0 → 0.1) changed"
    assert reason.text == f"new: since {tiny[1].run_id}, {changed}; trained with torch {version('torch')}"


def test_damaged_run_is_run_again(tiny: tuple[Path, RunRecord], workplace: Path) -> None:
    shutil.copytree(tiny[0], workplace, dirs_exist_ok=True)
    path = workplace / "runs" / tiny[1].run_id / "predictions.parquet"
    path.write_bytes(path.read_bytes()[:-20])

    (again,) = run(Experiment.from_yaml("tiny.yaml"))

    assert again.run_id == tiny[1].run_id
    np.testing.assert_array_equal(again.split("test").probability, tiny[1].split("test").probability)


@pytest.mark.slow
def test_failed_run_is_recorded_and_the_others_go_on(workplace: Path) -> None:
    whole, failed = run(Experiment.from_yaml(write(FAILING)))

    assert whole.complete
    assert failed.details.failure is not None
    assert failed.details.failure.kind == "RunError"
    assert "(fit)" in (failed.details.failure.cell or "")
    assert (failed.folder / "train.ipynb").is_file()
    assert "The other 1 runs are kept" in describe_failure(failed, 1)


@pytest.fixture
def prepared(tiny: tuple[Path, RunRecord], workplace: Path) -> Path:
    """An empty folder but for what is known of data and machine, which takes PyTorch to find out."""
    shutil.copytree(tiny[0] / "cache", workplace / "cache")
    return workplace


@contextmanager
def started(folder: Path, *arguments: str, warm: bool = True) -> "Iterator[subprocess.Popen[bytes]]":
    """Yield ``headstart run`` as a process of its own, ended with the block.

    If it is not to start a process that forks its kernels, those come from that of ``forked_runs``.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", *(arguments or ["tiny.yaml"])],
        cwd=folder,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)} | ({} if warm else {SWITCH: "0"}),
        preexec_fn=interruptible,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(folder: Path, pattern: str, seconds: float = 300) -> None:
    """Wait until a file that the pattern describes is there."""
    end = time.monotonic() + seconds
    while not list(folder.glob(pattern)):
        assert time.monotonic() < end, f"{pattern} did not appear"
        time.sleep(0.02)


def test_killed_run_leaves_no_process_and_goes_on_to_the_same_result(
    tiny: tuple[Path, RunRecord], prepared: Path
) -> None:
    write(TINY)
    others = set(psutil.Process().children(recursive=True))
    with started(prepared, warm=False) as process:
        wait_for(prepared, "runs/.*.partial/checkpoint.pt")
        children = set(psutil.Process().children(recursive=True)) - others
        assert len(children) >= 3  # the command, the job and its kernel
        process.send_signal(signal.SIGKILL)
        process.communicate()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive

    (record,) = run(Experiment.from_yaml("tiny.yaml"))

    np.testing.assert_array_equal(record.predictions, tiny[1].predictions)
    unchanged = ["epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"]
    np.testing.assert_array_equal(record.history[unchanged], tiny[1].history[unchanged])


def test_two_at_once_train_a_run_once(prepared: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(TINY)
    with started(prepared, warm=False) as first:
        wait_for(prepared, "runs/.*.partial/settings.yaml")  # its notebook is about to start
        second = main(["run", "tiny.yaml"])
        first.communicate(timeout=300)

    assert (first.returncode, second) == (0, 0)
    said = capfd.readouterr().err
    assert "another process works on it" in said or "1 of 1 runs are whole" in said
    assert len(list((prepared / "runs").glob("custom_cnn*/record.json"))) == 1
    assert not list((prepared / "runs").glob(".*.partial"))


def test_interrupted_command_says_how_to_go_on(prepared: Path) -> None:
    write(TINY.replace("epochs: 2", "epochs: 500"))
    with started(prepared, warm=False) as process:
        wait_for(prepared, "runs/.*.partial/checkpoint.pt")
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)

    assert process.returncode == 130
    assert b"goes on from the last checkpoint" in said
    assert not list((prepared / "runs").glob("custom_cnn*/record.json"))


def test_runs_made_a_moment_ago_are_read_and_not_planned_again(
    tiny: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, record = tiny
    monkeypatch.setattr("pipeline.run.plan", lambda *_: pytest.fail("planned again"))

    asked = Experiment.from_yaml(folder / "tiny.yaml")
    (folder / "asked.json").write_text(asked.model_dump_json(), encoding="utf-8")

    experiment, found = ensure(folder / "asked.json", [str(record.folder)])

    assert experiment == asked
    assert [(one.run_id, one.complete) for one in found] == [(record.run_id, True)]


def test_report_is_left_as_it_is_until_something_changes(
    tiny: tuple[Path, RunRecord], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, record = tiny
    monkeypatch.chdir(folder)
    page, document = Path("reports/tiny.html"), Path("report.qmd")
    document.write_text("a document", encoding="utf-8")
    monkeypatch.setattr("pipeline.cli.project_root", lambda: folder)
    written = []

    def render(*arguments: object) -> Rendered:
        page.write_text("a page", encoding="utf-8")
        written.append(arguments)
        return Rendered({"html": page}, "a renderer")

    monkeypatch.setattr("pipeline.report.render.render", render)
    monkeypatch.setenv("HEADSTART_WARM", "0")
    changes: list[Callable[[], object]] = [
        page.unlink,
        lambda: document.write_text("another document", encoding="utf-8"),
        lambda: (record.folder / "external.parquet").write_bytes(b"more"),
    ]
    for change in [lambda: None, *changes]:
        change()
        for said in ("Rendered by a renderer.", "Rendered by a renderer; nothing has changed since."):
            assert main(["report", "tiny.yaml", "--to", "html"]) == 0
            assert f"{page}\n{said}" in capsys.readouterr().out
    assert main(["render", "tiny.yaml", "--to", "html"]) == 0
    assert main(["report", "tiny.yaml", "--to", "pdf"]) == 0
    assert len(written) == 4 + 2
    (record.folder / "external.parquet").unlink()


def test_report_shows_a_failed_run_and_the_command_tries_it_again(workplace: Path) -> None:
    made = write_experiment(workplace, "made", *KINDS["failed_run"])[1]
    failed, whole = (next(r for r in made if r.complete is state) for state in (False, True))
    planned = [PlannedRun(r.settings, r.details.hashes, r.folder) for r in (failed, whole)]

    assert [_is_missing(p, Options()) for p in planned] == [True, False]
    assert [_is_missing(p, Options(for_report=True)) for p in planned] == [False, False]
