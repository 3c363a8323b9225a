"""The wall: training and the report know nothing of each other but the RunRecord."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import ROOT


@cache
def imports(path: Path) -> list[str]:
    """Return the modules that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return found


ROOMS = [  # who must not know whom
    ("learn", "report"),
    ("learn", "inference"),
    ("report", "learn"),
    ("report", "inference"),
    ("inference", "report"),
]


@pytest.mark.parametrize(("room", "other"), ROOMS)
def test_no_room_imports_what_it_shall_not_know(room: str, other: str) -> None:
    files = sorted((ROOT / "pipeline" / room).rglob("*.py"))

    assert files
    for path in files:
        assert not [name for name in imports(path) if name.startswith(f"pipeline.{other}")], path


def test_the_report_room_does_without_torch() -> None:
    code = (
        "import sys, pipeline.report.chapters, pipeline.report.results_json, pipeline.report.page, "
        "pipeline.report.diff; "
        "sys.exit(any(name in sys.modules for name in ('torch', 'torchvision', 'pipeline.learn')))"
    )

    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_no_two_modules_of_the_way_import_each_other() -> None:
    """Directly under ``pipeline/``, imports go one way, those within functions included."""
    way = {f"pipeline.{path.stem}": path for path in (ROOT / "pipeline").glob("*.py")}
    needs = {
        name: {i for i in way if any(_is_in(found, i) for found in imports(path))}
        for name, path in way.items()
    }

    tuple(TopologicalSorter(needs).static_order())  # raises CycleError, naming them


def _is_in(imported: str, module: str) -> bool:
    return imported == module or imported.startswith(f"{module}.")


def test_no_two_modules_import_each_other() -> None:
    """Neither within functions nor for types alone."""
    paths = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (ROOT / "pipeline").rglob("*.py")
    }
    needs = {  # the module, not what is taken from it
        name: {found if found in paths else found.rpartition(".")[0] for found in imports(path)}
        for name, path in paths.items()
    }
    assert "pipeline.report.model" in needs["pipeline.report.study"]
    assert [(a, b) for a in paths for b in needs[a] & paths.keys() if a < b and a in needs[b]] == []
