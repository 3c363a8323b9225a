import re
import shutil
import sys
from pathlib import Path

import pytest

from pipeline.errors import InputError, RenderError
from pipeline.report import render as rendering
from pipeline.report.render import quarto
from tests.report.paper import pages_of
from tests.report.render.test_execute import FAILING
from tests.report.render.tools import words, write_project

pytestmark = pytest.mark.usefixtures("small_kernels")
SMALL = """```{python}
#| tags: [parameters]
params_file = ""
```

## One

Made from `{python} params_file`.
"""


NUMBERS = """
```{python}
#| include: false
from pipeline.report.render import results_path
results_path("out").parent.mkdir()
results_path("out").write_text("{}")
```
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A document that says which params file it got."""
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path, SMALL)


@pytest.fixture
def without_quarto(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_both_formats_are_written_and_the_engine_named(small, tmp_path):
    output = tmp_path / "reports" / "small"
    done = rendering.render(small, tmp_path / "params" / "x.yaml", output, engine="embedded")
    assert done.files == {"html": output.with_name("small.html"), "pdf": output.with_name("small.pdf")}
    assert "Made from params/x.yaml." in words(done.files["html"].read_text())
    text = pages_of(done.files["pdf"])[0]
    assert "Made from params/x.yaml." in text
    assert re.fullmatch(r"embedded: Pandoc [\d.]+, Typst [\d.]+", done.engine)
    assert sorted(path.name for path in output.parent.iterdir()) == ["small.html", "small.pdf"]


def test_a_name_with_dots_keeps_them(small, tmp_path):
    done = rendering.render(small, tmp_path / "x.yaml", tmp_path / "v1.2", ("html",), "embedded")
    assert done.files["html"].name == "v1.2.html"


def test_params_file_elsewhere_is_given_by_its_whole_path(small, tmp_path_factory, tmp_path):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "x.yaml"
    done = rendering.render(small, elsewhere, tmp_path / "out", ("html",), "embedded")
    assert str(elsewhere) in words(done.files["html"].read_text())


def test_cells_run_where_the_command_was_given(tmp_path, monkeypatch):
    (tmp_path / "project").mkdir()
    document = write_project(
        tmp_path / "project", SMALL.replace("params_file`", "__import__('os').getcwd()`")
    )
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    done = rendering.render(document, Path("x.yaml"), tmp_path / "out", ("html",), "embedded")
    assert f"Made from {tmp_path}/work." in words(done.files["html"].read_text())


def test_document_is_told_of_runs_that_are_made(tmp_path):
    text = SMALL.replace("params_file = ", "made_runs = []\nparams_file = ", 1)
    text = text.replace("{python} params_file", "{python} len(made_runs)")
    runs = [tmp_path / "runs" / "a", tmp_path / "runs" / "b"]
    done = rendering.render(
        write_project(tmp_path, text), tmp_path / "x.yaml", tmp_path / "out", ("html",), "embedded", runs
    )
    assert "Made from 2." in words(done.files["html"].read_text())


@pytest.fixture
def quarto_that_says(tmp_path, monkeypatch):
    """Return what puts a quarto on the PATH that says a version and does no more, and returns its path."""

    def put(version, code=0):
        program = tmp_path / version.replace(" ", "_") / "quarto"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\necho '{version}'\nexit {code}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(program.parent))
        return program

    return put


@pytest.mark.parametrize("version", ["1.9.3", "1.10.18", "99.9.9"])
def test_quarto_is_taken_when_it_is_on_the_path(quarto_that_says, version):
    quarto_that_says(version)
    assert rendering.choose_engine() == rendering.choose_engine("quarto") == "quarto"
    assert rendering.choose_engine("embedded") == "embedded"


@pytest.mark.parametrize(
    ("version", "code", "why"),
    [
        ("1.3.450", 0, "{} is Quarto 1.3.450, and the report's PDF needs 1.9 or later"),
        ("1.10.18", 1, "{} does not say which Quarto it is: 1.10.18"),
        ("a board game", 0, "{} does not say which Quarto it is: a board game"),
    ],
)
def test_a_quarto_that_cannot_write_the_report_is_passed_over_and_named(quarto_that_says, version, code, why):
    said = why.format(quarto_that_says(version, code))
    assert rendering.choose_engine() == "embedded"
    assert rendering.unfit_quarto() == said
    with pytest.raises(InputError, match=r"Update it from quarto.org, or use --engine embedded") as refused:
        rendering.choose_engine("quarto")
    assert said in str(refused.value)


def test_a_quarto_of_another_processor_is_passed_over(quarto_that_says):
    program = quarto_that_says("1.10.18")
    program.write_bytes(b"\x7fELF of another kind")
    assert rendering.choose_engine() == "embedded"
    assert rendering.unfit_quarto().startswith(f"{program} does not run: ")


def test_embedded_renderer_is_taken_otherwise(without_quarto):
    assert rendering.choose_engine() == "embedded"
    with pytest.raises(InputError, match="Quarto is not on the PATH"):
        rendering.choose_engine("quarto")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "latex"}, "engine is 'latex'; it must be one of quarto, embedded"),
        ({"formats": ("docx",)}, "format is 'docx'; it must be one of html, pdf"),
        ({"formats": ()}, "no format is given"),
        ({"qmd": Path("none.qmd")}, "none.qmd: no such file"),
    ],
)
def test_arguments_that_cannot_be_are_refused(small, tmp_path, without_quarto, change, message):
    arguments = {"qmd": small, "params_file": tmp_path / "x.yaml", "output": tmp_path / "out", **change}
    with pytest.raises(InputError, match=message):
        rendering.render(**arguments)


def test_output_folder_that_is_a_file_is_an_error_before_any_work(small, tmp_path):
    (tmp_path / "reports").write_text("not a folder")
    with pytest.raises(InputError, match=r"reports: cannot be written"):
        rendering.render(small, tmp_path / "x.yaml", tmp_path / "reports" / "x", engine="embedded")


def test_failed_render_leaves_an_earlier_report_alone(tmp_path):
    (tmp_path / "out.html").write_text("earlier")
    qmd = write_project(tmp_path, SMALL + NUMBERS + "\n```{=typst}\n#nowhere\n```\n")
    with pytest.raises(RenderError, match="unknown variable: nowhere"):
        rendering.render(qmd, tmp_path / "x.yaml", tmp_path / "out", engine="embedded")
    assert (tmp_path / "out.html").read_text() == "earlier"
    assert not (tmp_path / "out.pdf").exists()
    assert not (tmp_path / "out").exists()


@pytest.fixture
def two_studies(tmp_path):
    """A report of a/x.yaml, its document, and b/x.yaml."""
    files = [tmp_path / folder / "x.yaml" for folder in ("a", "b")]
    for path in files:
        path.parent.mkdir()
        path.touch()
    qmd = write_project(tmp_path, SMALL + NUMBERS.replace('"out"', '"x"'))
    rendering.render(qmd, files[0], tmp_path / "reports" / "x", ("html",), "embedded")
    return qmd, *files


def test_a_report_of_another_params_file_of_the_same_name_is_not_replaced(two_studies, tmp_path):
    qmd, first, second = two_studies
    before = (tmp_path / "reports" / "x.html").read_bytes()
    with pytest.raises(InputError, match=f"x.html: is the report of {first}, .* the same name as {second}"):
        rendering.check(qmd, tmp_path / "reports" / "x", ("html",), second)
    assert (tmp_path / "reports" / "x.html").read_bytes() == before
    rendering.check(qmd, tmp_path / "reports" / "x", ("html",), first)


def test_the_copy_of_a_project_keeps_its_reports(two_studies, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path, copy, ignore=shutil.ignore_patterns("copy"))
    rendering.check(copy / "report.qmd", copy / "reports" / "x", ("html",), copy / "a" / "x.yaml")
    with pytest.raises(InputError, match="the same name"):
        rendering.check(copy / "report.qmd", copy / "reports" / "x", ("html",), copy / "b" / "x.yaml")


def test_a_params_file_that_was_moved_keeps_its_report(two_studies, tmp_path):
    qmd, first, second = two_studies
    first.replace(second)
    rendering.check(qmd, tmp_path / "reports" / "x", ("html",), second)
    first.symlink_to(second)
    rendering.check(qmd, tmp_path / "reports" / "x", ("html",), first)


def test_numbers_for_machines_come_with_their_report(tmp_path):
    qmd = write_project(tmp_path, SMALL + NUMBERS)
    rendering.render(qmd, tmp_path / "x.yaml", tmp_path / "out", ("html",), engine="embedded")
    assert (tmp_path / "out" / "results.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out", "out.html"]


def test_report_that_cannot_be_stored_whole_leaves_nothing_new(small, tmp_path, monkeypatch):
    (tmp_path / "out.html").write_text("earlier")
    write = Path.write_bytes

    def full(path, content):
        if path.name.startswith(".out.pdf"):
            raise OSError(28, "No space left on device")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"out.pdf: cannot be written: No space left on device"):
        rendering.render(small, tmp_path / "x.yaml", tmp_path / "out", engine="embedded")
    assert (tmp_path / "out.html").read_text() == "earlier"
    assert not list(tmp_path.glob(".out*"))


def test_engine_name_is_what_render_says(monkeypatch):
    monkeypatch.setenv("HEADSTART_ENGINE", "embedded: Pandoc 3.9, Typst 0.15")
    assert rendering.engine_name() == "embedded: Pandoc 3.9, Typst 0.15"


def test_engine_name_under_bare_quarto_is_read_from_its_files(monkeypatch, tmp_path):
    (tmp_path / "version").write_text("1.10.18\n")
    monkeypatch.delenv("HEADSTART_ENGINE", raising=False)
    monkeypatch.setenv("QUARTO_SHARE_PATH", str(tmp_path))
    assert rendering.engine_name() == "Quarto 1.10.18"


LOG = """
Executing 'report.quarto_ipynb'
  Cell 1/1: ''...

An error occurred while executing the following cell:
------------------
values = [1, 2]

raise ValueError("no\\nfigure <b>")
------------------


---------------------------------------------------------------------------
ValueError                                Traceback (most recent call last)
Cell In[3], line 3
ValueError: no
figure <b>

WARN: Error encountered when rendering files
"""


def test_quartos_cell_errors_become_one_line():
    message = quarto.explain(LOG, FAILING)
    assert message == "failing_cell.qmd:7: cell 'fig-broken' failed: ValueError: no"


def test_quartos_other_errors_become_one_line():
    log = "Compiling\nERROR: error: unknown variable: x\n    hint\n\nERROR: Typst compilation failed\n"
    assert quarto.explain(log, Path("report.qmd")) == "report.qmd: Quarto failed: error: unknown variable: x"


def test_quarto_gets_this_python_the_parameters_and_the_output(small, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "quarto"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, pathlib, sys\n"
        "if sys.argv[1] == '--version':\n    print('9.9.9')\n    sys.exit()\n"
        "option = dict(zip(sys.argv, sys.argv[1:]))\n"
        "print('Cell 1/1: live', file=sys.stderr)\n"
        "said = {'params': json.load(open(option['--execute-params']))}\n"
        "said |= {'python': os.environ['QUARTO_PYTHON'], 'engine': os.environ['HEADSTART_ENGINE']}\n"
        "said |= {'to': option['--to'], 'cwd': option['--execute-dir'], 'beside': sorted(os.listdir())}\n"
        "pathlib.Path('report.ipynb').write_text('by Quarto')\n"
        "pathlib.Path(option['--output-dir'], option['--output']).write_text(json.dumps(said))\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    (tmp_path / "report.ipynb").write_text("somebody's own")
    (tmp_path / "report_files").mkdir()
    quarto.describe.cache_clear()
    done = rendering.render(small, tmp_path / "x.yaml", tmp_path / "reports" / "x")
    quarto.describe.cache_clear()
    assert done.engine == "Quarto 9.9.9"
    assert '"to": "typst"' in done.files["pdf"].read_text()
    said = done.files["html"].read_text()
    assert f'"params": {{"params_file": "x.yaml"}}, "python": "{sys.executable}"' in said
    assert f'"engine": "Quarto 9.9.9", "to": "html", "cwd": "{tmp_path}"' in said
    assert '"beside": ["_quarto.yml", "bin", "report.qmd", "reports"]' in said
    assert (tmp_path / "report.ipynb").read_text() == "somebody's own"
    assert capsys.readouterr().err.count("Cell 1/1: live") == 2
