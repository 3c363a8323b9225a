import subprocess
import sys
from pathlib import Path
from tempfile import gettempdir

import pytest

from pipeline.errors import InputError, RenderError
from pipeline.report.render import embedded
from tests.report.render.tools import words, write_project

pytestmark = pytest.mark.usefixtures("small_kernels")
FAILING = Path(__file__).parent / "fixtures" / "failing_cell.qmd"


def test_failing_cell_is_named_with_its_line_and_error():
    with pytest.raises(RenderError) as caught:
        embedded.render(FAILING, {}, ("html",), {})
    assert str(caught.value) == "failing_cell.qmd:12: cell 'fig-broken' failed: ValueError: no figure <b>"


def test_failing_cell_without_a_label_is_named_by_its_first_line(tmp_path):
    qmd = write_project(tmp_path, "```{python}\nvalue = 0\n1 / value\n```\n")
    with pytest.raises(RenderError, match=r"^report.qmd:3: cell 'value = 0' failed: ZeroDivisionError"):
        embedded.render(qmd, {}, ("html",), {})


def test_failing_inline_code_is_named_with_its_line(tmp_path):
    qmd = write_project(tmp_path, "Words\n\nand `{python} 1 / 0`.\n")
    with pytest.raises(RenderError, match=r"^report.qmd:3: inline code '1 / 0' failed: ZeroDivisionError"):
        embedded.render(qmd, {}, ("html",), {})


def test_kernel_that_dies_is_an_error_that_names_the_cell(tmp_path):
    qmd = write_project(tmp_path, "```{python}\n#| label: end\nimport os\nos._exit(1)\n```\n")
    with pytest.raises(RenderError, match=r"^report.qmd:1: cell 'end' failed: the kernel died"):
        embedded.render(qmd, {}, ("html",), {})


def test_parameters_need_a_cell_to_land_in(tmp_path):
    qmd = write_project(tmp_path, "```{python}\n1\n```\n")
    with pytest.raises(InputError, match=r"no cell is tagged 'parameters', so params_file cannot be set"):
        embedded.render(qmd, {"params_file": "x"}, ("html",), {})


def test_cells_run_once_where_the_command_does_with_the_given_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        "```{python}\n#| tags: [parameters]\nsize = 1\n```\n\n"
        "```{python}\n#| include: false\nimport os, sys\nfrom pathlib import Path\n"
        "with open('runs.txt', 'a') as file:\n    _ = file.write('run ')\n'hidden value'\n```\n\n"
        "```{python}\n#| eval: false\n1 / 0\n```\n\n"
        "In `{python} Path.cwd().name` by `{python} os.environ['HEADSTART_ENGINE']`, size `{python} size`, "
        "with `{python} sys.executable`.\n"
    )
    environment = {"HEADSTART_ENGINE": "this engine"}
    qmd = write_project(tmp_path, text)
    files, warnings = embedded.render(qmd, {"size": 2}, ("html", "pdf"), environment)
    assert (tmp_path / "runs.txt").read_text() == "run "
    shown = words(files["html"].decode())
    assert f"In {tmp_path.name} by this engine, size 2, with {sys.executable}." in shown
    assert "hidden value" not in shown
    assert warnings == []


def test_real_stderr_of_a_cell_reaches_the_terminal(tmp_path):
    qmd = write_project(tmp_path, "```{python}\nimport sys\nprint('epoch 1', file=sys.__stderr__)\n```\n")
    program = (
        "import sys; from pathlib import Path; from pipeline.report.render import embedded; "
        "embedded.render(Path(sys.argv[1]), {}, ('html',), {})"
    )
    command = [sys.executable, "-c", program, str(qmd)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == "epoch 1\n"


def test_document_without_code_needs_no_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.report.render.execute.OwnKernelManager", None)
    qmd = write_project(tmp_path, "Words\n")
    assert b"Words" in embedded.render(qmd, {}, ("html",), {})[0]["html"]


def test_a_full_disk_is_named_where_the_error_names_no_file(tmp_path):
    code = "import errno, os\nraise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))"
    qmd = write_project(tmp_path, f"```{{python}}\n{code}\n```\n")
    with pytest.raises(RenderError, match=f"No space left on device in {gettempdir()}.*TMPDIR"):
        embedded.render(qmd, {}, ("html",), {})
