"""What the embedded renderer makes of report.qmd, beside what a real Quarto 1.10 made of it."""

import difflib
import shutil
from collections.abc import Iterator

import pytest

from pipeline.forker import REPORTING, warm_processes
from tests.report.made_report import KIND, Report, render_made
from tests.report.render.said import vocabulary
from tests.report.render.write_golden import GOLDEN, REMEDY, STUDIES, said_by


@pytest.fixture(scope="module", autouse=True)
def quick_kernels() -> Iterator[None]:
    with warm_processes(REPORTING):
        yield


def compare(kind: str, report: Report) -> None:
    for ending, text in said_by(report).items():
        golden = (GOLDEN / f"{kind}.{ending}").read_text(encoding="utf-8")
        same = golden == text if ending == "html.txt" else vocabulary(golden) == vocabulary(text)
        if not same:
            lines = difflib.unified_diff(golden.splitlines(), text.splitlines(), "golden", "now", n=0)
            shown = "\n".join(line.rstrip()[:300] for line in list(lines)[:60])
            pytest.fail(f"{kind}.{ending} differs. {REMEDY}\n{shown}", pytrace=False)


@pytest.mark.parametrize("kind", STUDIES)
def test_embedded_renderer_says_what_quarto_said(
    kind: str, report: Report, tmp_path_factory: pytest.TempPathFactory
) -> None:
    if kind != KIND:  # in a PDF, words of a figure are text only where no font here draws them
        drawn = kind == "hostile_names"
        report = render_made(tmp_path_factory.mktemp(kind), kind, "embedded", drawn)
    compare(kind, report)


@pytest.mark.quarto
@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("quarto"), reason="needs Quarto on the PATH")
@pytest.mark.parametrize("kind", STUDIES)
def test_quarto_still_says_it(kind: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    compare(kind, render_made(tmp_path_factory.mktemp(kind), kind, "quarto"))


def test_golden_files_are_small_and_of_the_studies() -> None:
    files = sorted(path.name for path in GOLDEN.iterdir())
    assert files == sorted(f"{kind}.{ending}" for kind in STUDIES for ending in ("html.txt", "pdf.txt"))
    assert max(path.stat().st_size for path in GOLDEN.iterdir()) < 200_000
