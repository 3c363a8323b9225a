"""What tests of the page read: its HTML, and report.qmd as it is written."""

import re

import pytest

from tests.report.made_report import ROOT, Report


@pytest.fixture(scope="session")
def page(report: Report) -> str:
    """The content of the HTML page."""
    return report.html.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def source() -> str:
    """The text of report.qmd below its header."""
    text = (ROOT / "report.qmd").read_text(encoding="utf-8")
    return re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
