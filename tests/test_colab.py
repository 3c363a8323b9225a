"""The notebook for Colab, as far as it does not need Colab."""

import ast
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline.kernel import KERNEL_NAME, OwnKernelManager
from tests.conftest import ROOT
from tests.learn.made_images import write_classes

NOTEBOOK = ROOT / "notebooks" / "colab.ipynb"


def cells() -> dict[str, nbformat.NotebookNode]:
    found = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(found)
    return {cell["id"]: cell for cell in found.cells if cell.cell_type == "code"}


def needs_colab(cell: nbformat.NotebookNode) -> bool:
    return "colab" in cell.metadata.get("tags", [])


def test_no_outputs_are_stored() -> None:
    assert all(not cell.outputs and cell.execution_count is None for cell in cells().values())


def test_only_drive_install_and_download_need_colab() -> None:
    assert [name for name, cell in cells().items() if needs_colab(cell)] == ["drive", "install", "download"]
    for name, cell in cells().items():
        assert needs_colab(cell) or "google.colab" not in cell.source, name


def test_settings_are_those_that_the_cells_use() -> None:
    given = ast.parse(cells()["settings"].source)
    names = {target.id for node in given.body for target in node.targets}  # type: ignore[attr-defined]
    used = "".join(cell.source for name, cell in cells().items() if name != "settings")
    assert names == {"HEADSTART", "KEPT", "WORK", "IMAGES", "EPOCHS", "SEEDS"}
    assert all(name in used for name in names)


@pytest.mark.slow
def test_from_zipped_images_to_a_report_that_is_kept(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    write_classes(Path("mine"), {"cat": 40, "dog": 40})
    images = shutil.make_archive("mine", "zip", ".", "mine")
    small = {"KEPT": str(workplace / "kept"), "WORK": str(workplace / "work"), "IMAGES": images}
    chosen = cells()
    lines = [f"{name} = {value!r}" for name, value in {**small, "EPOCHS": 1, "SEEDS": [0]}.items()]
    chosen["settings"].source += "\n" + "\n".join(lines)
    notebook = nbformat.v4.new_notebook(cells=[cell for cell in chosen.values() if not needs_colab(cell)])

    NotebookClient(
        notebook, kernel_name=KERNEL_NAME, kernel_manager_class=OwnKernelManager, timeout=600
    ).execute()

    kept = workplace / "kept"
    assert (kept / "reports" / "study.html").is_file()
    assert (kept / "reports" / "study.pdf").is_file()
    assert len(list(kept.glob("runs/*/record.json"))) == 3
