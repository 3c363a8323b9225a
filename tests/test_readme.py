"""What the papers promise, tests show."""

import ast
import re
from functools import cache

import pytest

from tests.conftest import ROOT

HEADER = "| what happens | what survives | shown by |"


def rows() -> list[tuple[str, list[str]]]:
    """Return what happens, and the tests that are named, of each row of "What survives what"."""
    text = (ROOT / "docs" / "what-survives.md").read_text(encoding="utf-8")
    table = text.split(HEADER, 1)[1].split("\n\n", 1)[0].strip().splitlines()[1:]
    cells = [row.strip("|").split("|") for row in table]
    return [(row[0].strip(), re.findall(r"`(\w+)`", row[-1])) for row in cells]


@cache
def known_tests() -> set[str]:
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        found |= {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    return found


@pytest.mark.parametrize(("what", "names"), rows(), ids=[what for what, _ in rows()])
def test_each_row_of_what_survives_what_names_tests_that_exist(what: str, names: list[str]) -> None:
    assert names, what
    assert all(name.startswith("test_") for name in names)
    assert set(names) <= known_tests()


def test_table_of_what_survives_what_is_found() -> None:
    assert len(rows()) >= 12


def test_readme_is_read_in_a_quarter_of_an_hour() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize(
    "page", ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))

    assert not [link for link in links if not (path.parent / link).exists()]
