"""The training notebook: thin, runs as it stands, and trains again when it would come out otherwise."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

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


@pytest.mark.parametrize("name", set(CELLS) - {"parameters"})
def test_cells_are_thin(name: str) -> None:
    made = (ast.FunctionDef, ast.ClassDef, ast.For, ast.While, ast.comprehension, ast.Lambda)
    assert len([line for line in CELLS[name].splitlines() if line]) <= 5 + (name == "setup")
    assert not any(isinstance(node, made) for node in ast.walk(ast.parse(CELLS[name])))


@pytest.mark.usefixtures("workplace")
def test_notebook_trains_and_goes_on_only_where_nothing_changed(capsys: pytest.CaptureFixture[str]) -> None:
    first = run_all()
    assert len(first["fitted"].history) == 2
    run_all()
    assert "Going on after epoch 2" in capsys.readouterr().out
    again = run_all(learning_rate=0.02)
    assert "the checkpoint is of other settings" in capsys.readouterr().out
    assert again["fitted"].history["learning_rate"].max() > first["fitted"].history["learning_rate"].max()
    assert (first["run"].path / "results.json").is_file()
