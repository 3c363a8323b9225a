"""The rendered page and PDF, read without a browser."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader
from pypdf.generic import DictionaryObject
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from pipeline.report.words.numbers import percent
from tests.report.conftest import StudyOf
from tests.report.made_report import KIND, Report
from tests.report.paper import pages_of

NEEDS_POPPLER = pytest.mark.skipif(not shutil.which("pdftoppm"), reason="needs pdftoppm (poppler-utils)")
MACRO = (precision_score, recall_score, f1_score)
# Headings and tabs of what the PDF shows in other ways.
ONLY_PAGE = {"Models", "All of these images, by their label", "The executed notebooks", "Table of contents"}


class Tags(HTMLParser):
    """Every start tag of a page with its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def words(page: str) -> str:
    """The page's text, one space between words."""
    shown = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", shown)).split())


def headings(page: str) -> list[str]:
    return [words(found) for _, found in re.findall(r"<h([1-4])[^>]*>(.*?)</h\1>", page, re.DOTALL)]


def captions(page: str) -> list[str]:
    """Return the number and title of each figure and table."""
    return [words(found) for found in re.findall(r'<p class="finding"[^>]*>(.*?)</p>', page, re.DOTALL)]


def rasters(resources: DictionaryObject) -> Iterator[tuple[int, int]]:
    """Yield width and height of each picture made of pixels, also of those within drawings."""
    for found in resources.get("/XObject", {}).values():
        inner = found.get_object()
        if inner["/Subtype"] == "/Image":
            yield inner["/Width"], inner["/Height"]
        else:
            yield from rasters(inner.get("/Resources", DictionaryObject()).get_object())


@pytest.fixture(scope="module")
def pages(report: Report) -> list[str]:
    """The text of each page of the PDF."""
    return pages_of(report.pdf)


@pytest.fixture(scope="module")
def paper(pages: list[str]) -> str:
    """The text of the PDF."""
    return " ".join(" ".join(pages).split())


def test_page_is_one_small_file_that_asks_for_nothing(report: Report, page: str) -> None:
    assert report.html.stat().st_size < 6_000_000
    for tag, attributes in Tags(page).found:
        for name in ("src", "href", "srcset", "poster", "data"):
            address = attributes.get(name) or ""
            allowed = ("data:", "#", "https://arxiv.org/abs/") if tag == "a" else ("data:", "#")
            assert not address or address.startswith(allowed), (tag, address[:80])
    style = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL))
    assert "@import" not in style
    assert "url(" not in style


def test_page_forbids_every_request(page: str) -> None:
    policies = [
        a["content"] for tag, a in Tags(page).found if a.get("http-equiv") == "Content-Security-Policy"
    ]
    (policy,) = policies
    rules = dict(rule.split(" ", 1) for rule in (policy or "").split("; "))
    assert rules["default-src"] == "'none'"
    sources = {source for allowed in rules.values() for source in allowed.split()}
    assert sources == {"'none'", "'unsafe-inline'", "data:"}


def test_every_image_has_an_alternative_and_every_header_its_scope(page: str) -> None:
    tags = Tags(page).found
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) > 9
    assert all(attributes.get("alt") for attributes in images)
    assert all(attributes.get("scope") in ("col", "row") for tag, attributes in tags if tag == "th")


def test_page_has_one_title_one_main_part_and_a_language(page: str) -> None:
    tags = [tag for tag, _ in Tags(page).found]
    assert tags.count("h1") == tags.count("main") == 1
    assert dict(Tags(page).found)["html"]["lang"] == "en"
    levels = [int(tag[1]) for tag in tags if re.fullmatch(r"h[1-6]", tag)]
    body = levels[levels.index(1) :]
    assert all(below <= above + 1 for above, below in pairwise(body))


def test_every_float_is_numbered_and_every_reference_leads_somewhere(page: str) -> None:
    found = captions(page)
    for kind in ("Figure", "Table"):
        numbers = [int(caption.split()[1]) for caption in found if caption.startswith(kind)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= 9
    ids = {attributes.get("id") for _, attributes in Tags(page).found}
    links = [a.get("href") or "" for tag, a in Tags(page).found if tag == "a"]
    assert all(unescape(link[1:]) in ids for link in links if link.startswith("#"))


def test_numbers_of_the_tables_equal_the_predictions(report: Report, page: str, study_of: StudyOf) -> None:
    headline = re.findall(r'id="tbl-headline".*?</table>', page, re.DOTALL)[0]
    rows = [words(row) for row in re.findall(r"<tr.*?</tr>", headline, re.DOTALL)[1:]]
    scored = re.findall(r'id="tbl-scores".*?</table>', page, re.DOTALL)[0]
    macro = [words(row) for row in re.findall(r"<tr.*?</tr>", scored, re.DOTALL)[1:]]
    for model in study_of(KIND).models:
        row = next(one for one in macro if model.label in one)
        assert percent(model.test_accuracy) in next(one for one in rows if model.label in one).replace(
            " %", "\u00a0%"
        )
        folder = next((report.folder / "runs").glob(f"{model.name}-{model.mode}-s0-*"))
        table = pd.read_parquet(folder / "predictions.parquet").query("split == 'test'")
        truth = table["target"].to_numpy()
        guess = np.argmax(table.filter(regex="^probability_").to_numpy(), axis=1)
        scores = [accuracy_score(truth, guess)]
        scores += [
            score(truth, guess, average="macro") for score in (precision_score, recall_score, f1_score)
        ]
        assert all(" ".join(percent(score).split()) in row for score in scores)
        assert model.label in row


def test_pdf_has_the_same_headings_captions_and_order(paper: str, page: str) -> None:
    squeezed = re.sub(r"\W", "", paper)
    models = set(re.findall(r"<section data-model=[^>]*><h3>(.*?)</h3>", page))
    squeezed = re.sub(r"Customcnnortransferlearning", "", squeezed)  # at the head of each page
    for heading in headings(page):
        if heading not in ONLY_PAGE | models:
            assert re.sub(r"\W", "", heading) in squeezed, heading
    for caption in captions(page):
        assert re.sub(r"\W", "", caption)[:40] in squeezed, caption  # some float to another page


def test_pdf_is_a_report_of_full_pages_with_vector_figures(report: Report, pages: list[str]) -> None:
    reader = PdfReader(report.pdf)
    assert 8 <= len(reader.pages) <= 13
    assert reader.metadata is not None
    assert reader.metadata.title == "Custom CNN or transfer learning?"
    assert all(len(text) > 60 for text in pages)
    sizes = [size for page in reader.pages for size in rasters(page["/Resources"].get_object())]
    assert max(max(size) for size in sizes) <= 64  # the data's own pictures; nothing else is a raster
    assert "Table\u00a01" in pages[0]
    assert "Before you rely on it" in pages[0]


def test_pdf_holds_no_remains_of_the_page(paper: str) -> None:
    assert "Answer only where" not in paper
    assert "Open a cell" not in paper


@NEEDS_POPPLER
def test_no_page_of_the_pdf_is_empty_or_runs_over_its_edge(report: Report, tmp_path: Path) -> None:
    from PIL import Image

    subprocess.run(["pdftoppm", "-r", "30", "-gray", report.pdf, tmp_path / "page"], check=True)
    for path in sorted(tmp_path.glob("page*")):
        ink = np.asarray(Image.open(path)) < 160
        width = ink.shape[1]
        assert ink.mean() > 0.002, path.name
        assert not ink[:, : int(0.07 * width)].any(), path.name
        assert not ink[:, int(0.93 * width) :].any(), path.name
