"""Write anew what Quarto makes of report.qmd, after its words were changed on purpose:

    python -m tests.report.render.write_golden [KIND ...]

For each of ``STUDIES`` (made up, see tests/made_records.py) ``golden/KIND.html.txt`` and ``.pdf.txt`` hold
the words, captions, numbers, references, headings and their order. Needs Quarto 1.9 or later on the
PATH; takes about 15 seconds a study. Look at the differences before you commit them.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.report.made_report import Report, render_made
from tests.report.render.said import page_says, paper_says

GOLDEN = Path(__file__).parent / "golden"
STUDIES = (
    "transfer_wins",
    "one_seed",
    "hostile_names",
    "all_failed",
    "sizes",
)
REMEDY = "If that was meant, write the golden files anew: python -m tests.report.render.write_golden"


def said_by(report: Report) -> dict[str, str]:
    """Return the content of a study's golden files by their endings."""
    page = report.html.read_text(encoding="utf-8")
    return {"html.txt": page_says(page), "pdf.txt": paper_says(report.pdf)}


def write(kind: str) -> None:
    """Render one study by Quarto and write down what it says."""
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        said = said_by(render_made(Path(folder), kind, "quarto"))
    for ending, text in said.items():
        (GOLDEN / f"{kind}.{ending}").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    if not shutil.which("quarto"):
        sys.exit("Quarto is not on the PATH; golden files are written by a real one.")
    for name in sys.argv[1:] or STUDIES:
        write(name)
        print(name)
