"""A real experiment whose every name is markup: nothing of it is executed, all of it is shown as written."""

import json
import os
import re
import shutil
import subprocess
import sys
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
import yaml

from pipeline.cli import main
from tests.conftest import ROOT
from tests.learn.made_images import picture, write_classes
from tests.report.page.test_browser import CHROMIUM, FLAGS

CLASSES = (
    "<img src=x onerror=alert(1)>",
    "<script>alert(2)",
    "$x^2$ and \\alpha",
    "#set page(width: 1pt)",
    "@fig-1 [@x]",
    "a | b",
    "{{< include x >}}",
    "`code` *stars* _and_ ~til~",
    "]{onclick=alert(3)} ::: raw",
    "'; window.hacked = 1; \"",
)
FILE = "{name} {number}.png"
TITLE = "<script>window.hacked = 1</script> $x$ #set @fig-1 | {{< meta title >}} *b* \\ & </title>"
AUTHOR = "<b onclick=alert(4)>Nobody</b> @tbl-1 #let x = 1"
DESCRIPTION = (
    "</p><script>window.hacked = 2</script> {{< include /etc/passwd >}} $\\frac{1}{2}$ `{python} 1/0`"
)
MODELS = """
dataset: image_folder
data_dir: data
image_size: 16
epochs: 2
batch_size: 16
patience: 9
augmentation: [flip]
models:
  - {model: custom_cnn, widths: [8], depth: 1, learning_rate: 0.001}
"""


@dataclass(frozen=True)
class Hostile:
    """The folder of the experiment and its report."""

    folder: Path
    said: str  # by its command, on both streams

    @property
    def html(self) -> Path:
        return self.folder / "reports" / "x.html"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    """Train on such a folder and write the report, as a user would."""
    folder = tmp_path_factory.mktemp("hostile")
    for label, name in enumerate(CLASSES):
        (folder / "data" / name).mkdir(parents=True)
        for number in range(8):
            image = picture(100 * label + number, (16, 16))
            image.save(folder / "data" / name / FILE.format(name=name, number=number), "PNG")
    (folder / "data" / CLASSES[0] / f"broken {CLASSES[1]}.png").write_bytes(b"no image")
    for name in ("report.qmd", "_quarto.yml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / "pipeline").symlink_to(ROOT / "pipeline")
    texts = {"title": TITLE, "author": AUTHOR, "description": DESCRIPTION, "max_unreadable": 0.1}
    (folder / "x.yaml").write_text(yaml.safe_dump(texts) + MODELS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline", "report", "x.yaml", "--engine", "embedded"],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Hostile(folder, done.stdout + done.stderr)


def squeezed(text: str) -> str:
    """Return text without spaces, which line breaks in a PDF may add or take, and without ligatures."""
    return re.sub(r"\s|\xad", "", unicodedata.normalize("NFKC", text))


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.skipif(not CHROMIUM, reason="needs Chromium on the PATH (apt install chromium)")
def test_report_of_hostile_names_executes_nothing_and_shows_each_as_written(hostile: Hostile) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    problems: list[str] = []
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page()
        page.on("dialog", lambda dialog: (problems.append(dialog.message), dialog.dismiss()))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda said: problems.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: problems.append(asked.url) if _outside(asked.url) else None)
        page.goto(hostile.html.as_uri())
        for element in page.locator("details > summary").all():
            element.evaluate("summary => summary.parentElement.open = true")
        for control in page.locator("[role=tab], button[data-true]").all()[:20]:
            if control.is_visible():
                control.click()
        page.wait_for_timeout(500)
        text = page.evaluate("document.body.textContent")
        title = page.title()
        hacked = page.evaluate("window.hacked")
        own = page.evaluate("document.querySelectorAll('img[src=x]').length")
        handlers = page.evaluate("document.querySelectorAll('[onclick], [onerror]').length")
        browser.close()
    assert problems == []
    assert (hacked, own, handlers) == (None, 0, 0)
    assert title == f"{TITLE} · Headstart"
    for name in (*CLASSES, TITLE, AUTHOR, DESCRIPTION, f"broken {CLASSES[1]}.png"):
        assert squeezed(name) in squeezed(text), name


def _outside(address: str) -> bool:
    return not address.startswith(("data:", "file:", "blob:"))


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("pdftotext"), reason="needs pdftotext (apt install poppler-utils)")
def test_pdf_shows_hostile_names_as_written(hostile: Hostile) -> None:
    command = ["pdftotext", "-layout", str(hostile.html.with_suffix(".pdf")), "-"]
    laid_out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    command = ["pdftotext", "-raw", str(hostile.html.with_suffix(".pdf")), "-"]
    text = squeezed(laid_out + subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    for name in (*CLASSES, TITLE, AUTHOR, DESCRIPTION):
        assert squeezed(name) in text, name


@pytest.mark.slow
def test_executed_notebook_shows_hostile_names_as_text_or_in_pictures(hostile: Hostile) -> None:
    (path,) = hostile.folder.glob("runs/*/train.ipynb")
    notebook = nbformat.read(path, as_version=4)
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]

    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 4
    for output in outputs:
        assert output.output_type != "error"
        page = "".join(output.get("data", {}).get("text/html", ""))
        assert not re.search(r"<(script|img|b onclick)", page)


@pytest.mark.slow
def test_record_and_results_hold_hostile_names_as_written(hostile: Hostile) -> None:
    (record,) = hostile.folder.glob("runs/*/record.json")
    results = json.loads((hostile.folder / "reports" / "x" / "results.json").read_text(encoding="utf-8"))

    assert json.loads(record.read_text(encoding="utf-8"))["classes"] == sorted(CLASSES)
    assert all(name in json.dumps(results, ensure_ascii=False) for name in ("$x^2$", "{{< include x >}}"))


@pytest.mark.slow
def test_output_of_the_command_steers_no_terminal(hostile: Hostile) -> None:
    assert "done in" in hostile.said
    assert "\x1b" not in hostile.said


@pytest.mark.parametrize("name", CLASSES)
def test_terminal_shows_hostile_names_as_written(
    workplace: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    write_classes(workplace / "data", {"zebra": 4, name: 1})
    Path("x.yaml").write_text(MODELS, encoding="utf-8")

    assert main(["why", "x.yaml"]) == 2
    assert f"data: class {name!r} has 1 image in train" in capfd.readouterr().err


def test_a_title_cannot_steer_the_terminal(workplace: Path, capfd: pytest.CaptureFixture[str]) -> None:
    Path("x.yaml").write_text('title: "\\e[2J\\e]0;x\\a"\nmodels: [nowhere]\n', encoding="utf-8")

    assert main(["run", "x.yaml"]) == 2
    assert "\x1b" not in "".join(capfd.readouterr())
