"""Each command that uses a run's network refuses a bad source in one line, and writes nothing."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline import cli
from pipeline.record import RunRecord

COMMANDS = {
    "predict": ["images", "-o", "out.csv"],
    "export": ["--to", "torch", "-o", "out.pt2"],
    "card": ["-o", "out.md"],
    "try": ["--port", "0"],
}


def another_version(here: Path) -> None:
    path = here / "reports/made/results.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))


def without_models(here: Path) -> None:
    path = here / "reports/made/results.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "models": []}))


def gone(here: Path) -> None:
    shutil.rmtree(here / "runs/run")


def cut_short(here: Path) -> None:
    path = here / "runs/run/model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


def other_classes(here: Path) -> None:
    """Take a class away from a record that is whole otherwise: it is another network's."""
    folder = here / "runs/run"
    details = RunRecord.read(folder).details
    fewer = details.model_copy(update={"classes": details.classes[:-1]})
    (folder / "record.json").write_text(fewer.sealed(folder).model_dump_json())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (another_version, "schema_version is 99"),
        (without_models, "no model of this report was trained to its end"),
        (gone, "its run run is gone"),
        (cut_short, "model.safetensors: damaged"),
        (other_classes, "names 9 classes"),
    ],
)
def test_a_bad_source_is_refused_in_one_line_and_nothing_is_written(
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    spoil: Callable[[Path], None],
    said: str,
) -> None:
    for part in ("runs", "reports"):
        shutil.copytree(project / part, tmp_path / part)
    (tmp_path / "images").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "images" / "a.png")
    spoil(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert cli.main([command, "reports/made", *COMMANDS[command]]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert not list(tmp_path.glob("out*"))
