"""The training notebook: thin, runs as it stands, and trains again when it would come out otherwise."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.learn import checkpoint

NOTEBOOK = Path(__file__).parents[2] / "pipeline" / "notebooks" / "train.ipynb"
CELLS = {
    cell["id"]: "".join(cell["source"])
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    if cell["cell_type"] == "code"
}
SMALL = {"epochs": 2, "max_train_images": 100, "widths": [8], "depth": 1}


def run_all(**changes: Any) -> dict[str, Any]:
    """Run all cells, as Jupyter does, with other values in the parameters cell."""
    names: dict[str, Any] = {}
    for name, source in CELLS.items():
        exec(source, names)
        if name == "parameters":
            names.update(SMALL, **changes)
    return names


@pytest.mark.usefixtures("workplace")
def test_notebook_trains_and_goes_on_only_where_nothing_changed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SELDOM", 0)
    first = run_all()
    assert len(first["fitted"].history) == 2
    run_all()
    assert "Going on after epoch 2" in capsys.readouterr().out
    again = run_all(learning_rate=0.02)
    assert "the checkpoint is of other settings, data or code" in capsys.readouterr().out
    assert again["fitted"].history["learning_rate"].max() > first["fitted"].history["learning_rate"].max()
    assert (first["run"].path / "results.json").is_file()


EDIT = """
import json, pathlib, sys
cells = [c for c in json.load(open("train.ipynb", encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
names = {}
def run_all():
    for cell in cells:
        exec("".join(cell["source"]), names)
        if cell["id"] == "parameters":
            names.update(epochs=1, max_train_images=100, widths=[8], depth=1)
        if cell["id"] == "fit":
            return
run_all()
run_all()
path = pathlib.Path(names["models"].__file__).with_name("custom_cnn.py")
code = path.read_text(encoding="utf-8")
path.write_text(code.replace("FEATURE_SCALE = 1 / 9", "FEATURE_SCALE = 1 / 8"), encoding="utf-8")
run_all()
print(sys.modules["pipeline.learn.models.custom_cnn"].FEATURE_SCALE, pathlib.Path.cwd())
"""


def test_run_all_in_jupyter_trains_with_edited_code_in_the_folders_of_the_project(tmp_path: Path) -> None:
    leave_out = shutil.ignore_patterns("report", "__pycache__")
    shutil.copytree(NOTEBOOK.parents[1], tmp_path / "pipeline", ignore=leave_out)
    done = subprocess.run(
        [sys.executable, "-c", EDIT],
        cwd=tmp_path / "pipeline" / "notebooks",
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout.splitlines()
    assert done.returncode == 0, done.stderr
    assert said[-1] == f"0.125 {tmp_path}"
    assert [line.startswith("Going on after epoch 1") for line in said].count(True) == 1
    assert any("other settings, data or code" in line for line in said)
    assert sorted(path.name for path in (tmp_path / "pipeline" / "notebooks").iterdir()) == ["train.ipynb"]
    assert (tmp_path / "runs" / "custom_cnn-scratch-s0-jupyter").is_dir()
