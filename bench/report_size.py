"""How long a report is: words, captions, floats, screens and pages, and how much of its pages is white.

    python -m bench.report_size reports/demo.html reports/demo.pdf

Screens are of 1280 × 800 and 390 × 844 pixels, with the appendix folded; they need Chromium and Playwright.
White is what is left below the last line of a page; it needs pdftoppm.
"""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from pypdf import PdfReader

from tests.report.render.said import page_says

SCREENS = {"desktop": (1280, 800), "phone": (390, 844)}
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


def counts(page: str) -> dict[str, int]:
    """Return the words of the body and its captions (without tables, drawings, widgets), and all floats."""
    body, _, appendix = page.partition('id="appendix"')
    shown = re.sub(r'<([uo]l) class="(cards|blocks)\b.*?</\1>', "", page, flags=re.DOTALL)  # in pictures
    shown = re.sub(r'<a class="file".*?</a>', "", shown, flags=re.DOTALL)
    said = page_says(shown).partition("## Appendix")[0].partition("\n# ")[2]
    said = re.sub(r"\(#\S+ ", "", said)  # where links lead
    prose = [line for line in said.splitlines() if not line.startswith(("|", "Picture:"))]
    titles = re.findall(r"<figcaption.*?</figcaption>|<p class=\"finding.*?</p>", body, re.DOTALL)
    return {
        "words with captions": sum(len(line.split()) for line in prose),
        "of these in captions": sum(len(re.sub(r"<[^>]+>", " ", one).split()) for one in titles),
        "figures": body.count('<figure id="fig-'),
        "tables": body.count('<figure id="tbl-'),
        "figures in the appendix": appendix.count('<figure id="fig-'),
        "tables in the appendix": appendix.count('<figure id="tbl-'),
    }


def screens(path: Path) -> dict[str, float]:
    """Return how many screens the page is long."""
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        for name, (width, height) in SCREENS.items():
            page = browser.new_page(viewport={"width": width, "height": height})
            page.goto(path.resolve().as_uri())
            found[f"screens, {name}"] = round(
                page.evaluate("document.documentElement.scrollHeight") / height, 1
            )
        browser.close()
    return found


def whites(path: Path) -> list[float]:
    """Return for each page of a PDF the share that is white below its last line, margins left out."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["pdftoppm", "-r", "40", "-gray", path, f"{folder}/p"], check=True)
        return [_white(Image.open(one)) for one in sorted(Path(folder).glob("p*"))]


def _white(page: Image.Image) -> float:
    ink = np.asarray(page) < 200
    body = ink[int(0.06 * len(ink)) : int(0.935 * len(ink))]
    rows = np.flatnonzero(body.any(axis=1))
    return round(1 - (int(rows.max()) + 1) / len(body), 2) if len(rows) else 1.0


def main(page: Path, paper: Path) -> None:
    """Print what was counted."""
    found: dict[str, object] = dict(counts(page.read_text(encoding="utf-8")))
    if shutil.which("chromium"):
        found |= screens(page)
    found["pages"] = len(PdfReader(paper).pages)
    if shutil.which("pdftoppm"):
        white = whites(paper)
        found |= {"white at page ends": white, "their mean": round(float(np.mean(white)), 3)}
    for what, value in found.items():
        print(f"{what}: {value}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
