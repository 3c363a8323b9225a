"""The real report.qmd, rendered once from made-up records by the embedded renderer."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.report.rendering import Engine, render

ROOT = Path(__file__).parents[3]
ENSURE = "from pipeline.run import ensure"
KIND = "one_seed"


@dataclass(frozen=True)
class Report:
    """A rendered report and the folder it was rendered in."""

    folder: Path
    html: Path
    pdf: Path


def copy_project(folder: Path, kind: str) -> Path:
    """Put a copy of report.qmd into ``folder`` whose runs are made up; return its path."""
    source = (ROOT / "report.qmd").read_text(encoding="utf-8")
    assert ENSURE in source
    made = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from tests.made_records import made_experiment\n"
        f"ensure = lambda _: made_experiment(Path({str(folder)!r}), {kind!r})"
    )
    (folder / "report.qmd").write_text(source.replace(ENSURE, made), encoding="utf-8")
    (folder / "_quarto.yml").write_bytes((ROOT / "_quarto.yml").read_bytes())
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    (folder / "params.yaml").touch()
    return folder / "report.qmd"


def render_made(folder: Path, kind: str, engine: Engine) -> Report:
    """Render the report of one of ``made_records.KINDS``."""
    qmd = copy_project(folder, kind)
    files = render(qmd, folder / "params.yaml", folder / "reports" / kind, engine=engine).files
    return Report(folder, files["html"], files["pdf"])


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of five models, one seed each."""
    return render_made(tmp_path_factory.mktemp("report"), KIND, "embedded")


@pytest.fixture(scope="session")
def page(report: Report) -> str:
    """The content of the HTML page."""
    return report.html.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def source() -> str:
    """The text of report.qmd below its header."""
    text = (ROOT / "report.qmd").read_text(encoding="utf-8")
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
