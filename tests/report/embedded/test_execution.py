import subprocess
import sys

import pytest

from pipeline.errors import InputError, RenderError
from pipeline.report.embedded import renderer
from pipeline.report.embedded.execution import escape_markdown
from tests.report.embedded.tools import FIXTURES


def test_failing_cell_is_named_with_its_line_and_error():
    with pytest.raises(RenderError) as caught:
        renderer.render(FIXTURES / "failing_cell.qmd", {}, ("html",), {})
    message = str(caught.value)
    assert message == "failing_cell.qmd:12: cell 'fig-broken' failed: ValueError: no figure <b>"


def test_failing_inline_code_is_named_with_its_line(tmp_path):
    (tmp_path / "report.qmd").write_text("Words\n\nand `{python} 1 / 0`.\n")
    with pytest.raises(RenderError, match=r"^report.qmd:3: inline code '1 / 0' failed: ZeroDivisionError"):
        renderer.render(tmp_path / "report.qmd", {}, ("html",), {})


def test_kernel_that_dies_is_an_error_that_names_the_cell(tmp_path):
    (tmp_path / "report.qmd").write_text("```{python}\n#| label: end\nimport os\nos._exit(1)\n```\n")
    with pytest.raises(RenderError, match=r"^report.qmd:1: cell 'end' failed: the kernel died"):
        renderer.render(tmp_path / "report.qmd", {}, ("html",), {})


def test_parameters_need_a_cell_to_land_in(tmp_path):
    (tmp_path / "report.qmd").write_text("```{python}\n1\n```\n")
    with pytest.raises(InputError, match=r"no cell is tagged 'parameters', so params_file cannot be set"):
        renderer.render(tmp_path / "report.qmd", {"params_file": "x"}, ("html",), {})


def test_cells_run_once_in_the_documents_folder_with_the_given_environment(tmp_path, capfd):
    (tmp_path / "report.qmd").write_text(
        "---\ntitle: T\nexecute: {echo: false}\n---\n\n```{python}\n#| tags: [parameters]\nsize = 1\n```\n\n"
        "```{python}\nimport os, sys\nfrom pathlib import Path\n"
        "with open('runs.txt', 'a') as file:\n    _ = file.write('run ')\n"
        "print('live progress', file=sys.__stderr__, flush=True)\n"
        "print(Path.cwd().name, os.environ['HEADSTART_ENGINE'], size, sys.executable)\n```\n"
    )
    environment = {"HEADSTART_ENGINE": "this engine"}
    files, _ = renderer.render(tmp_path / "report.qmd", {"size": 2}, ("html", "pdf"), environment)
    assert (tmp_path / "runs.txt").read_text() == "run "
    assert f"{tmp_path.name} this engine 2 {sys.executable}" in files["html"].decode()


def test_real_stderr_of_a_cell_reaches_the_terminal(tmp_path):
    (tmp_path / "report.qmd").write_text(
        "```{python}\nimport sys\nprint('epoch 1', file=sys.__stderr__)\n```\n"
    )
    program = (
        "import sys; from pathlib import Path; from pipeline.report.embedded import renderer; "
        "renderer.render(Path(sys.argv[1]), {}, ('html',), {})"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "report.qmd")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stderr == "epoch 1\n"


def test_document_without_code_needs_no_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.report.embedded.execution._Runner", None)
    (tmp_path / "report.qmd").write_text("Words\n")
    assert b"Words" in renderer.render(tmp_path / "report.qmd", {}, ("html",), {})[0]["html"]


@pytest.mark.parametrize(
    "text", ["a*b*", "<b>", "$x$", "@fig-a", "[a](b)", "{.c}", "::: x", "a\nb", "1. one", "\\"]
)
def test_escaped_text_has_no_markup_left(text):
    escaped = escape_markdown(text)
    assert escaped.replace("\\\\", "\0").replace("\\", "").replace("\0", "\\") == text.replace("\n", " ")
