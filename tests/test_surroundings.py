"""What surrounds the process acts neither on its runs nor on its end."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from pipeline import surroundings
from pipeline.cli import main
from pipeline.experiment import Experiment
from pipeline.forker import warm_processes
from pipeline.kernel import own_kernel
from pipeline.plan import plan
from pipeline.surroundings import own_environment
from tests.conftest import ROOT

SAYS = (
    "import sys, json, os; print(json.dumps([[m for m in ('mine', 'usercustomize', 'matplotlib') "
    "if m in sys.modules], "
    "'changed' in globals(), '' in sys.path, sorted(v for v in os.environ if v.startswith('PYTHON')), "
    "os.environ['MPLBACKEND']]))"
)
OURS = ["PYTHONNOUSERSITE", "PYTHONPATH", "PYTHONSAFEPATH"]


@pytest.fixture
def hostile(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a home of someone whose Python and IPython are set up for something else."""
    startup = workplace / "home/.ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("changed = True")
    (startup.parent / "ipython_config.py").write_text("c.InteractiveShellApp.matplotlib = 'qt'")
    (workplace / "mine.py").write_text("import nothing_of_the_kind")
    (workplace / "start.py").write_text("import mine")
    (workplace / "queue.py").write_text("raise SystemExit('shadowed')")
    for name, value in {
        "HOME": str(workplace / "home"),
        "IPYTHONDIR": str(workplace / "home/.ipython"),
        "PYTHONSTARTUP": str(workplace / "start.py"),
        "PYTHONPATH": os.pathsep.join([str(workplace), os.environ.get("PYTHONPATH", "")]),
        "PYTHONWARNINGS": "error",
        "PYTHONOPTIMIZE": "2",
        "MPLBACKEND": "Qt5Agg",
    }.items():
        monkeypatch.setenv(name, value)
    return workplace


def said(folder: Path) -> list[object]:
    path = folder / "says.ipynb"
    papermill.iorw.write_ipynb(new_notebook(cells=[new_code_cell(SAYS)]), str(path))
    done = papermill.execute_notebook(str(path), None, progress_bar=False, **own_kernel())
    found: list[object] = json.loads(done.cells[-1].outputs[0].text)
    return found


@pytest.mark.parametrize("imported", [(), ("ipykernel.kernelapp",)], ids=["started", "forked"])
def test_the_users_own_configuration_does_not_reach_a_kernel(hostile: Path, imported: Sequence[str]) -> None:
    if imported:
        with warm_processes(imported):
            modules, changed, current, variables, drawing = said(hostile)
    else:
        modules, changed, current, variables, drawing = said(hostile)

    assert "mine" not in modules  # type: ignore[operator]
    assert not changed
    assert not current
    assert variables == OURS
    assert drawing == "module://matplotlib_inline.backend_inline"


def test_profile_of_a_kernel_is_removed_with_it(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(workplace))
    said(workplace)

    assert not list(workplace.glob("headstart-ipython-*"))


def test_folders_that_packages_are_installed_in_stay_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "module/torch-2.15.dist-info").mkdir(parents=True)
    (tmp_path / "own").mkdir()
    given = {"PYTHONPATH": f"{tmp_path}/own:{tmp_path}/module::/nowhere", "HOME": "/home/a"}

    found = own_environment(given)

    assert found["PYTHONPATH"].split(":") == [str(ROOT), f"{tmp_path}/module"]
    assert found["HOME"] == "/home/a"


def test_fp32_stays_fp32_whatever_the_user_allows(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in surroundings.ARITHMETIC:
        monkeypatch.setenv(name, "1")

    assert not own_environment().keys() & set(surroundings.ARITHMETIC)
    assert main(["clean", str(ROOT / "params" / "smoke.yaml")]) == 0
    assert not os.environ.keys() & set(surroundings.ARITHMETIC)


def test_packages_installed_for_the_user_alone_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(Path(__import__("torch").__file__).parent.parent)
    monkeypatch.setattr(surroundings.site, "ENABLE_USER_SITE", True)
    monkeypatch.setattr(surroundings.site, "getusersitepackages", lambda: folder)

    assert "PYTHONNOUSERSITE" not in own_environment({})


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_do_not_end_a_command(workplace: Path, closed: str) -> None:
    Path("x.yaml").write_text("models: [custom_cnn]", encoding="utf-8")
    plan(Experiment.from_yaml("x.yaml"))  # what it takes PyTorch to find out is kept for the command
    command = f"exec {sys.executable} -m pipeline why x.yaml {closed}"
    done = subprocess.run(
        ["sh", "-c", command], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )

    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


def test_names_that_the_output_cannot_hold_do_not_end_a_command(workplace: Path) -> None:
    Path("研究.yaml").write_text("models: [{model: custom_cnn, 研究: 1}]", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "why", "研究.yaml"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252"},
        capture_output=True,
        check=False,
    )

    assert done.returncode == 2
    assert b"headstart: \\u7814\\u7a76.yaml: models[0]: unknown key '\\u7814\\u7a76'" in done.stderr
