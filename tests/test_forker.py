"""Processes forked from a warm one behave like those that start on their own."""

import gc
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import papermill
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from pipeline import forker, gpus
from pipeline.forker import ForkedProcess, warm_processes
from pipeline.kernel import own_kernel

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")
FEW = ("ipykernel.kernelapp",)
NOTHING = ()  # where no kernel has to start, or one has time to import what it needs
SAYS = "import os, sys; print(os.getpid(), os.getppid(), 'wave' in sys.modules, os.getcwd())"


def source_of_kernels() -> psutil.Process:
    """Return the newest process that forks."""
    found = [child for child in psutil.Process().children() if "pipeline.forker" in child.cmdline()]
    return max(found, key=psutil.Process.create_time)


def forked(arguments: list[str], folder: Path) -> ForkedProcess:
    """Fork a kernel."""
    kernel = "ipykernel.kernelapp:launch_new_instance"
    return ForkedProcess(kernel, arguments, dict(os.environ), str(folder), (0, 1, 2))


def outputs(source: str, folder: Path) -> list[str]:
    """Run a cell in a kernel of this environment and return what it printed, word by word."""
    notebook = new_notebook(cells=[new_code_cell(source)])
    path = folder / "notebook.ipynb"
    papermill.iorw.write_ipynb(notebook, str(path))
    done = papermill.execute_notebook(str(path), None, progress_bar=False, **own_kernel())
    return "".join(output["text"] for output in done.cells[-1].outputs).split()


def test_kernels_are_forked_from_a_process_that_has_imported_what_learns(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpus, "may_be_there", lambda: False)
    assert "pipeline.learn.train" in forker.LEARNING  # all of it takes ten seconds
    monkeypatch.setattr(forker, "LEARNING", (*FEW, "wave"))  # which nothing else imports
    with warm_processes(forker.LEARNING):
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
    with warm_processes(NOTHING):
        assert forker.SOCKET_VARIABLE not in os.environ


def test_kernels_start_the_ordinary_way_when_the_process_is_gone(workplace: Path) -> None:
    with warm_processes(FEW):
        outputs("print(1)", workplace)
        source = source_of_kernels()
        source.kill()
        source.wait()
        started = time.monotonic()
        with pytest.raises(ConnectionRefusedError):
            forked([], workplace)
        assert time.monotonic() - started < 5  # nobody waits for what is gone
        said = outputs(SAYS, workplace)

    assert said[1] == str(os.getpid())


def test_inner_process_wins_over_the_outer_one(workplace: Path) -> None:
    with warm_processes(FEW):
        outer = outputs(SAYS, workplace)
        with warm_processes(FEW):
            inner = outputs(SAYS, workplace)
        again = outputs(SAYS, workplace)

    assert outer[1] == again[1] != inner[1]


def test_environment_is_that_of_who_asks(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with warm_processes(FEW):
        monkeypatch.setenv("GREETING", "hello")
        assert outputs("import os; print(os.environ['GREETING'])", workplace) == ["hello"]


@pytest.mark.parametrize("imported", [None, NOTHING], ids=["started", "forked"])
def test_function_is_called_in_a_process_with_the_streams_it_is_given(
    workplace: Path, imported: tuple[str, ...] | None
) -> None:
    with (
        nullcontext() if imported is None else warm_processes(imported),
        Path("said").open("wb") as said,
    ):
        process = forker.start(
            "tokenize:main", "word", output=said, environment=dict(os.environ), folder=str(workplace)
        )
        assert process.wait(30) == 0
    assert isinstance(process, subprocess.Popen if imported is None else ForkedProcess)
    assert '"word"' in Path("said").read_text(encoding="utf-8")


def test_exit_code_is_that_of_the_kernel(workplace: Path) -> None:
    with warm_processes(NOTHING):
        kernel = forked(["--unknown"], workplace / "missing")

        assert kernel.wait(30) == 1
        assert kernel.poll() == 1


def test_a_killed_kernel_is_known_to_be_dead(workplace: Path) -> None:
    with warm_processes(NOTHING):
        kernel = forked(["-f", str(workplace / "c.json")], workplace)
        assert kernel.poll() is None
        kernel.kill()
        assert kernel.wait(10) == -signal.SIGKILL


def test_kernel_ends_with_who_asked_for_it(workplace: Path) -> None:
    with warm_processes(NOTHING):
        asks = (
            "import os, sys; from pipeline.forker import ForkedProcess; "
            "kernel = 'ipykernel.kernelapp:launch_new_instance', ['-f', 'c.json']; "
            "k = ForkedProcess(*kernel, dict(os.environ), os.getcwd(), (0, 1, 2)); "
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
    with warm_processes(NOTHING):
        kernel = forked(["-f", str(workplace / "c.json")], workplace)
        source = source_of_kernels()
        source.kill()
        assert kernel.wait(10) == -signal.SIGKILL
        wait_until_gone(kernel.pid)


def test_kernel_whose_source_is_gone_before_it_could_be_told_ends_itself(workplace: Path) -> None:
    for _ in range(5):  # killed at once, the source is mostly gone before its fork has asked to die with it
        with warm_processes(NOTHING):
            kernel = forked(["-f", str(workplace / "c.json")], workplace)
            os.kill(source_of_kernels().pid, signal.SIGKILL)
            assert kernel.wait(10) == -signal.SIGKILL
            wait_until_gone(kernel.pid)


def test_fork_that_leads_no_group_yet_is_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        forker._end(process.pid)
        assert process.wait(10) == -signal.SIGKILL


def test_connection_is_closed_when_the_process_is_killed_while_it_is_asked(workplace: Path) -> None:
    with warm_processes(NOTHING):
        forked(["--unknown"], workplace).wait(30)  # it listens by now
        source = source_of_kernels()
        source.suspend()
        asking = threading.Timer(1.0, source.kill)
        asking.start()
        with pytest.raises(ConnectionError):
            forked(["-f", str(workplace / "c.json")], workplace)
        asking.join()
        gc.collect()  # a socket that was left open would warn, and so fail this test


@pytest.mark.parametrize("name", sorted({*forker.LEARNING, *forker.REPORTING}))
def test_what_is_imported_beforehand_exists(name: str) -> None:
    assert importlib.util.find_spec(name) is not None


def test_switch_turns_it_off(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(forker.SWITCH, "0")
    with warm_processes(NOTHING):
        assert forker.SOCKET_VARIABLE not in os.environ


def wait_until_gone(pid: int) -> None:
    """Wait until a process has ended; whoever has inherited it may take seconds to ask how."""
    end = time.monotonic() + 10
    with suppress(psutil.NoSuchProcess):
        while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            assert time.monotonic() < end
            time.sleep(0.02)


def test_no_process_is_left_behind(workplace: Path) -> None:
    with warm_processes(NOTHING):
        kernel = forked(["-f", str(workplace / "c.json")], workplace)
        source = source_of_kernels()
    wait_until_gone(kernel.pid)

    assert not source.is_running()
    assert kernel.poll() == -signal.SIGKILL
