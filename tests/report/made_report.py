"""The real report.qmd, rendered from made-up records."""

import re
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from pipeline.report.render import Engine, render

ROOT = Path(__file__).parents[2]
ENSURE = re.compile(r"^from pipeline\.\w+ import ensure$", re.MULTILINE)
KIND = "one_seed"  # of the report that most tests read


@dataclass(frozen=True)
class Report:
    """A rendered report and the folder it was rendered in."""

    folder: Path
    html: Path
    pdf: Path

    @classmethod
    def of(cls, folder: Path, kind: str) -> "Report":
        """Return what ``render_made`` made in a folder."""
        return cls(folder, *(folder / "reports" / f"{kind}.{ending}" for ending in ("html", "pdf")))


def blank(drawing: Figure) -> str:
    """Return an empty SVG of a drawing's size: to draw takes most of a report's time, and has no words."""
    width, height = 72 * drawing.get_size_inches()
    return f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}pt" height="{height}pt"></svg>'


def copy_project(folder: Path, made: str, drawn: bool = True) -> Path:
    """Put a copy of report.qmd into ``folder`` whose runs are what ``made`` evaluates to; return its path.

    ``made`` is an expression in tests.made_records, tests.report.fuzzed and ``folder``. Figures that are
    not ``drawn`` are blank.
    """
    source = (ROOT / "report.qmd").read_text(encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from pathlib import Path\n"
        "from tests.made_records import made_experiment\n"
        "from tests.report.fuzzed import fuzzed_experiment\n"
        f"folder = Path({str(folder)!r})\n"
        f"ensure = lambda *_: {made}"
    )
    if not drawn:
        code += (
            "\nfrom pipeline.report.look import svg\nfrom tests.report.made_report import blank\n"
            "svg.write = blank"
        )
    replaced, count = ENSURE.subn(lambda _: code, source)
    assert count == 1, "report.qmd has no line 'from pipeline.… import ensure'"
    (folder / "report.qmd").write_text(replaced, encoding="utf-8")
    (folder / "_quarto.yml").write_bytes((ROOT / "_quarto.yml").read_bytes())
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    (folder / "params.yaml").touch()
    return folder / "report.qmd"


def render_made(folder: Path, kind: str, engine: Engine, drawn: bool = True) -> Report:
    """Render the report of one of ``made_records.KINDS``."""
    qmd = copy_project(folder, f"made_experiment(folder, {kind!r})", drawn)
    files = render(qmd, folder / "params.yaml", folder / "reports" / kind, engine=engine).files
    made = Report.of(folder, kind)
    assert files == {"html": made.html, "pdf": made.pdf}
    return made
