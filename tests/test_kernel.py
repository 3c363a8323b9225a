import importlib.util
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest

from pipeline.errors import HeadstartError
from pipeline.kernel import own_kernel


def notebook(path: Path, source: str) -> Path:
    cells = [
        nbformat.v4.new_code_cell("x = 1", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell(source),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return path


def test_notebook_runs_in_this_python_even_when_the_users_kernel_is_another(tmp_path, monkeypatch):
    elsewhere = tmp_path / "jupyter" / "kernels" / "python3"
    elsewhere.mkdir(parents=True)
    (elsewhere / "kernel.json").write_text(
        '{"argv": ["/nowhere/python", "{connection_file}"], "display_name": "Other", "language": "python"}'
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    source = notebook(tmp_path / "a.ipynb", "import sys; print(sys.executable, x)")
    executed = papermill.execute_notebook(
        source, tmp_path / "b.ipynb", {"x": 7}, progress_bar=False, **own_kernel()
    )
    assert executed.cells[-1].outputs[0].text == f"{sys.executable} 7\n"


def test_real_stderr_of_a_cell_reaches_the_terminal(tmp_path):
    source = notebook(tmp_path / "a.ipynb", "import sys; print('epoch 1', file=sys.__stderr__, flush=True)")
    program = (
        "import papermill, sys; from pipeline.kernel import own_kernel; "
        "papermill.execute_notebook(sys.argv[1], None, progress_bar=False, **own_kernel())"
    )
    command = [sys.executable, "-c", program, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.splitlines()[0] == "epoch 1"  # a kernel that ends may say more on a busy machine


def test_progress_of_runs_in_a_cell_goes_to_the_terminal_and_displays_nothing(tmp_path):
    source = notebook(
        tmp_path / "a.ipynb", "from pipeline.progress import Progress\nProgress([], []).__enter__();"
    )
    program = (
        "import papermill, sys; from pipeline.kernel import own_kernel; "
        "done = papermill.execute_notebook(sys.argv[1], None, progress_bar=False, **own_kernel()); "
        "print([output.output_type for output in done.cells[-1].outputs])"
    )
    command = [sys.executable, "-c", program, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr.splitlines()[0] == "0 of 0 runs are whole and kept; 0 to train."
    assert done.stdout in ("['stream']\n", "[]\n")


def test_missing_ipykernel_is_an_error_that_names_the_python(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HeadstartError, match="ipykernel is not installed") as caught:
        own_kernel()
    assert sys.executable in str(caught.value)
