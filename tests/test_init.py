"""A folder of one's own has all that a study needs, from a checkout and from an installed wheel."""

import errno
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from pipeline import cli
from pipeline.experiment import Experiment
from pipeline.report.render import notebook, options
from tests.conftest import ROOT


def test_new_folder_holds_a_study_that_can_be_rendered(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", "mine"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["cd mine", "headstart report"]
    mine = workplace / "mine"
    assert (mine / "report.qmd").read_bytes() == (ROOT / "report.qmd").read_bytes()
    assert (mine / "train.ipynb").is_file()
    assert {p.name for p in (mine / "params").iterdir()} == {p.name for p in (ROOT / "params").glob("*.yaml")}
    project = options.read_project(mine)  # refuses what the embedded renderer does not know
    for format_name in ("html", "typst"):
        found = options.of_format(project, format_name)
        for name in ("css", "include-in-header", "include-before-body", "include-after-body"):
            if path := options.file_of(found, name, mine):
                assert path.parent == mine / "page"
    assert "pipeline/" not in (mine / "_quarto.yml").read_text(encoding="utf-8")
    assert notebook.read(mine / "report.qmd").cells
    assert Experiment.from_yaml(mine / "params" / "demo.yaml").runs


def test_commands_find_the_report_of_the_current_folder(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.main(["init", "mine"])
    monkeypatch.chdir(workplace / "mine")
    assert cli.project_root() == Path()


def test_an_empty_folder_is_filled_also_the_current_one(
    workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["init", "."]) == 0
    assert (workplace / "report.qmd").is_file()
    assert "cd" not in capsys.readouterr().out
    assert not [path for path in workplace.parent.iterdir() if path.name.startswith(f".{workplace.name}.")]


@pytest.mark.parametrize(
    ("folder", "message"),
    [("full", "is there and not empty"), ("file", "is there and no folder"), ("a/b", "Make that first")],
)
def test_a_folder_that_cannot_be_is_refused_and_nothing_is_touched(
    workplace: Path, capsys: pytest.CaptureFixture[str], folder: str, message: str
) -> None:
    (workplace / "full").mkdir()
    (workplace / "full" / "mine.txt").write_text("kept", encoding="utf-8")
    (workplace / "file").touch()
    assert cli.main(["init", folder]) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert sorted(p.name for p in workplace.rglob("*")) == ["file", "full", "mine.txt"]


@pytest.mark.parametrize("call", ["pipeline.files.os.fsync", "shutil.copyfile"])
def test_full_disk_leaves_nothing_behind(
    workplace: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    call: str,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(call, full)
    assert cli.main(["init", "mine"]) == 2
    assert "mine: cannot be made: No space left on device. Free space" in capsys.readouterr().err
    assert list(workplace.iterdir()) == []


@pytest.mark.slow
def test_built_wheel_makes_a_study_and_its_report_in_an_environment_of_its_own(tmp_path: Path) -> None:
    """Dependencies are those of this environment; Headstart itself is the wheel's."""
    source, fresh = tmp_path / "source", tmp_path / "fresh"
    for name in (
        "pyproject.toml",
        "setup.py",
        "MANIFEST.in",
        "README.md",
        "LICENSE",
        "report.qmd",
        "_quarto.yml",
    ):
        source.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    for name in ("pipeline", "params"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "OMP_NUM_THREADS": "1"}

    def run(*command: object, folder: Path = tmp_path) -> str:
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", tmp_path, source)
    run(sys.executable, "-m", "venv", "--without-pip", fresh)
    python = fresh / "bin" / "python"
    packages = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])").strip())
    (packages / "dependencies.pth").write_text(sysconfig.get_paths()["purelib"] + "\n", encoding="utf-8")
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--ignore-installed",
        *tmp_path.glob("*.whl"))  # fmt: skip
    where = run(python, "-c", "import pipeline; print(pipeline.__file__)").strip()
    assert Path(where).is_relative_to(packages)

    run(fresh / "bin" / "headstart", "init", "mine")
    mine = tmp_path / "mine"
    smoke = mine / "params" / "smoke.yaml"
    smoke.rename(mine / "params" / "demo.yaml")  # what is asked without a name: here, seconds of work
    said = run(fresh / "bin" / "headstart", "report", folder=mine)
    assert "reports/demo.html" in said
    assert (mine / "reports" / "demo.pdf").is_file()
    assert yaml.safe_load((mine / "reports" / "demo" / "results.json").read_text())["answer"]
