"""What only some systems have is not needed: as on Windows, without its files and signals on Linux."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Read by each Python as it starts, also by those that a run starts. Other packages keep what Linux has.
WITHOUT = """
import builtins, multiprocessing, os, signal

def imported(name, globals=None, *rest, before=builtins.__import__, **named):
    asking = (globals or {}).get("__name__", "").split(".")[0]
    if name in ("resource", "fcntl") and asking in ("pipeline", "filelock"):
        raise ImportError(name)
    return before(name, globals, *rest, **named)

builtins.__import__ = imported
del os.fork, os.sched_getaffinity, signal.SIGHUP
multiprocessing.set_start_method("spawn")
"""
MODULES = (
    "import importlib, os, pkgutil, pipeline\n"
    "assert not hasattr(os, 'fork')\n"
    "for module in pkgutil.walk_packages(pipeline.__path__, 'pipeline.'):\n"
    "    importlib.import_module(module.name)\n"
    "from pipeline.learn import memory\n"
    "assert 'resource' not in vars(memory)"
)


@pytest.fixture
def elsewhere(workplace: Path) -> dict[str, str]:
    """The environment of a Python without what only Unix has, in which no kernel is forked."""
    (workplace / "other" / "made.dist-info").mkdir(parents=True)  # so that it is handed on to kernels
    (workplace / "other" / "sitecustomize.py").write_text(WITHOUT, encoding="utf-8")
    path = os.pathsep.join([str(workplace / "other"), str(ROOT)])
    return {**os.environ, "PYTHONPATH": path, "HEADSTART_WARM": "0"}


def python(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_every_module_can_be_imported(elsewhere: dict[str, str]) -> None:
    done = python(elsewhere, "-c", MODULES)

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_study_is_run(elsewhere: dict[str, str]) -> None:
    done = python(elsewhere, "-m", "pipeline", "run", str(ROOT / "params" / "smoke.yaml"))

    assert done.returncode == 0, done.stderr
    assert len(list(Path("runs").glob("*/record.json"))) == 2
    probe = "import json, os; print(json.dumps(hasattr(os, 'fork')))"
    assert python(elsewhere, "-c", probe).stdout == "false\n"
