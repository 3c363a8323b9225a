from pathlib import Path

import pytest

from pipeline.errors import InputError, UnsupportedSyntaxError
from pipeline.report.embedded.document import Cell, Text, parse_document, read_document


def parse(text):
    return parse_document(text, Path("report.qmd"))


def test_header_text_and_cells_keep_their_lines():
    document = parse(
        "---\ntitle: T\n---\n\nWords\n\n```{python}\n#| label: a\n#| echo: true\nx = 1\ny = 2\n```\n\nMore\n"
    )
    text, cell, more = document.blocks
    assert document.header.values == {"title": "T"}
    assert document.header.line("title") == 2
    assert isinstance(text, Text)
    assert text.line == 4
    assert isinstance(cell, Cell)
    assert (cell.line, cell.source_line, cell.source) == (7, 10, "x = 1\ny = 2")
    assert cell.options.line("echo") == 9
    assert more.line == 13


def test_cell_options_may_span_lines():
    cell = parse(
        '```{python}\n#| fig-cap: >\n#|   Two\n#|   lines.\n#| fig-alt:\n#|   - "a"\n1\n```\n'
    ).cells()[0]
    assert cell.option("fig-cap") == "Two lines.\n"
    assert cell.option("fig-alt") == ["a"]


def test_cells_inside_other_fences_are_text():
    document = parse("````markdown\n```{python}\n1\n```\n````\n")
    assert document.cells() == []


def test_inline_expressions_have_their_lines():
    text = parse("One `{python} a` and\n`{python} b + 1`, not ``{python} c``.\n").blocks[0]
    assert text.expressions() == [("a", 1), ("b + 1", 2)]
    assert text.with_values(["1", "2"]) == "One 1 and\n2, not ``{python} c``."


def test_dates_stay_text():
    assert parse("---\ndate: 2026-11-22\n---\n").header.values["date"] == "2026-11-22"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```{r}\n1\n```\n", r"report.qmd:1: a cell in 'r' is not supported"),
        ("\n```{python, echo=FALSE}\n1\n```\n", r"report.qmd:2: options in the cell's first line"),
        ("- a\n  ```{python}\n  1\n  ```\n", r"report.qmd:2: an indented cell is not supported"),
    ],
)
def test_other_cells_are_refused_by_line(text, message):
    with pytest.raises(UnsupportedSyntaxError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\ntitle: T\n", r"report.qmd:1: the YAML header has no end"),
        ("---\ntitle: [T\n---\n", r"report.qmd:2: is not valid YAML"),
        ("---\n- a\n---\n", r"report.qmd:2: must be keys and values"),
        ("\n```{python}\n1\n", r"report.qmd:2: the block '```{python}' has no end"),
        ("```{python}\n#| label: a: b\n1\n```\n", r"report.qmd:2: is not valid YAML"),
    ],
)
def test_broken_documents_are_errors_with_their_line(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)


def test_unreadable_document_is_an_error(tmp_path):
    (tmp_path / "latin.qmd").write_bytes(b"\xff\xfe\x00bad")
    with pytest.raises(InputError, match=r"latin.qmd: cannot be read"):
        read_document(tmp_path / "latin.qmd")
    with pytest.raises(InputError, match=r"none.qmd: cannot be read"):
        read_document(tmp_path / "none.qmd")
