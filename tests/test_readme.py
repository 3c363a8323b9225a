"""What the README promises, tests show."""

import ast
import re

import pytest

from tests.conftest import ROOT

HEADER = "| what happens | what survives | shown by |"


def rows() -> list[tuple[str, list[str]]]:
    """Return what happens, and the tests that are named, of each row of "What survives what"."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    table = text.split(HEADER, 1)[1].split("\n\n", 1)[0].strip().splitlines()[1:]
    cells = [row.strip("|").split("|") for row in table]
    return [(row[0].strip(), re.findall(r"`(\w+)`", row[-1])) for row in cells]


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
