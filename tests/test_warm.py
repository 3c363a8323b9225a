"""Kernels forked from a warm process behave like those that start on their own."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import papermill
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from pipeline import warm
from pipeline.kernel import own_kernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")
FEW = ("ipykernel.kernelapp",)
SAYS = "import os, sys; print(os.getpid(), os.getppid(), 'torch' in sys.modules, os.getcwd())"


def source_of_kernels() -> psutil.Process:
    """Return the newest process that forks kernels."""
    found = [child for child in psutil.Process().children() if "pipeline.forker" in child.cmdline()]
    return max(found, key=psutil.Process.create_time)


def outputs(source: str, folder: Path) -> list[str]:
    """Run a cell in a kernel of this environment and return what it printed, word by word."""
    notebook = new_notebook(cells=[new_code_cell(source)])
    path = folder / "notebook.ipynb"
    papermill.iorw.write_ipynb(notebook, str(path))
    done = papermill.execute_notebook(str(path), None, progress_bar=False, **own_kernel())
    return "".join(output["text"] for output in done.cells[-1].outputs).split()


def test_kernels_are_forked_from_a_process_that_has_imported_torch(workplace: Path) -> None:
    with warm.kernels(warm.LEARNING):
        first, second = (outputs(SAYS, workplace) for _ in range(2))

    assert first[0] != second[0]  # a kernel of its own for each
    assert first[1] == second[1]  # from the same process
    assert first[2:] == second[2:] == ["True", str(workplace)]


def test_without_the_process_kernels_start_the_ordinary_way(workplace: Path) -> None:
    said = outputs(SAYS, workplace)

    assert said[1] == str(os.getpid())
    assert said[2] == "False"


def test_where_temporary_folders_have_long_names_kernels_start_the_ordinary_way(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = workplace / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with warm.kernels(FEW):
        assert warm.SOCKET_VARIABLE not in os.environ


def test_kernels_start_the_ordinary_way_when_the_process_is_gone(workplace: Path) -> None:
    with warm.kernels(FEW):
        outputs("print(1)", workplace)
        source = source_of_kernels()
        source.kill()
        source.wait()
        said = outputs(SAYS, workplace)

    assert said[1] == str(os.getpid())


def test_inner_process_wins_over_the_outer_one(workplace: Path) -> None:
    with warm.kernels(FEW):
        outer = outputs(SAYS, workplace)
        with warm.kernels(FEW):
            inner = outputs(SAYS, workplace)
        again = outputs(SAYS, workplace)

    assert outer[1] == again[1] != inner[1]


def test_environment_is_that_of_who_asks(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warm.kernels(FEW):
        monkeypatch.setenv("GREETING", "hello")
        assert outputs("import os; print(os.environ['GREETING'])", workplace) == ["hello"]


def test_exit_code_is_that_of_the_kernel(workplace: Path) -> None:
    with warm.kernels(FEW):
        kernel = warm.ForkedKernel(["--unknown"], dict(os.environ), str(workplace / "missing"))

        assert kernel.wait(30) == 1
        assert kernel.poll() == 1


def test_a_killed_kernel_is_known_to_be_dead(workplace: Path) -> None:
    with warm.kernels(FEW):
        kernel = warm.ForkedKernel(["-f", str(workplace / "c.json")], dict(os.environ), str(workplace))
        assert kernel.poll() is None
        kernel.kill()
        assert kernel.wait(10) == -signal.SIGKILL


def test_kernel_ends_with_who_asked_for_it(workplace: Path) -> None:
    with warm.kernels(FEW):
        asks = (
            "import os, sys; from pipeline import warm; "
            "k = warm.ForkedKernel(['-f', 'c.json'], dict(os.environ), os.getcwd()); "
            "print(k.pid, flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", asks], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as asking:
            assert asking.stdout is not None
            kernel = psutil.Process(int(asking.stdout.readline()))
            asking.kill()
        kernel.wait(10)


def test_kernel_ends_at_once_with_the_process_it_was_forked_from(workplace: Path) -> None:
    with warm.kernels(FEW):
        kernel = warm.ForkedKernel(["-f", str(workplace / "c.json")], dict(os.environ), str(workplace))
        source = source_of_kernels()
        source.kill()
        assert kernel.wait(10) == -signal.SIGKILL
        psutil.wait_procs([psutil.Process(kernel.pid)] if psutil.pid_exists(kernel.pid) else [], timeout=5)
        assert not psutil.pid_exists(kernel.pid)


def test_no_process_is_left_behind(workplace: Path) -> None:
    with warm.kernels(FEW):
        kernel = warm.ForkedKernel(["-f", str(workplace / "c.json")], dict(os.environ), str(workplace))
        source = source_of_kernels()
    end = time.monotonic() + 10
    while psutil.pid_exists(kernel.pid) and time.monotonic() < end:
        time.sleep(0.02)

    assert not source.is_running()
    assert not psutil.pid_exists(kernel.pid)
    assert kernel.poll() == -signal.SIGKILL
