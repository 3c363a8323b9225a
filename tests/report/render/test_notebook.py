from pathlib import Path

import pytest

from pipeline.errors import InputError, UnsupportedSyntaxError
from pipeline.report.render import notebook


def parse(text: str):
    return notebook.parse(text, "report.qmd")


def code(text: str):
    return [cell for cell in parse(text).cells if cell.cell_type == "code"]


def test_text_and_cells_keep_their_lines():
    found = parse(
        "---\njupyter: python3\n---\n\nWords\n\n```{python}\n#| label: a\nx = 1\ny = 2\n```\n\nMore\n"
    )
    text, cell, more = found.cells
    assert (text.cell_type, text.metadata.line) == ("markdown", 3)
    assert (cell.metadata.line, cell.metadata.code, cell.source) == (7, 9, "x = 1\ny = 2")
    assert cell.metadata.options == {"label": "a"}
    assert "More" in more.source
    assert notebook.line_of(found, "More") == 13


def test_cell_options_may_span_lines():
    (cell,) = code("```{python}\n#| label: fig-a\n#| fig-cap: >\n#|   Two\n#|   lines.\n1\n```\n")
    assert cell.metadata.options["fig-cap"] == "Two lines."
    assert cell.metadata.code == 6


def test_cells_inside_other_fences_are_text():
    assert code("````markdown\n```{python}\n1\n```\n````\n") == []


def test_inline_code_becomes_cells_with_their_lines():
    found = code("One `{python} a` and\n`{python} b + 1`, not ``{python} c``.\n")
    assert [(cell.source, cell.metadata.line) for cell in found] == [("a", 1), ("b + 1", 2)]
    assert all(cell.metadata.inline for cell in found)


def test_line_of_what_a_cell_displayed_is_the_cells():
    found = parse("Words\n\n```{python}\n1\n```\n")
    found.cells[1].outputs = [{"data": {"text/markdown": "x<br>y"}}]
    assert notebook.line_of(found, "<br>") == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```{r}\n1\n```\n", r"report.qmd:1: a cell that starts '{r}' is not supported .*\{python\}"),
        ("\n```{python, echo=FALSE}\n1\n```\n", r"report.qmd:2: a cell that starts '{python, echo=FALSE}'"),
        ("- a\n  ```{python}\n  1\n  ```\n", r"report.qmd:2: an indented cell '{python}' is not supported"),
        ("Words\n\n{{< video x.mp4 >}}\n", r"report.qmd:3: shortcode '{{< video >}}' is not supported"),
        ("\n`{r} 1+1`\n", r"report.qmd:2: inline code in 'r' is not supported"),
    ],
)
def test_other_languages_and_shortcodes_are_refused_by_line(text, message):
    with pytest.raises(UnsupportedSyntaxError, match=message):
        parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("---\njupyter: python3\n", r"report.qmd:1: the YAML header has no end"),
        ("---\njupyter: [T\n---\n", r"report.qmd:2: is not valid YAML"),
        ("---\n- a\n---\n", r"report.qmd:2: must be keys and values"),
        ("\n```{python}\n1\n", r"report.qmd:2: the block '```{python}' has no end"),
        ("```{python}\n#| label: a: b\n1\n```\n", r"report.qmd:2: is not valid YAML"),
    ],
)
def test_broken_documents_are_errors_with_their_line(text, message):
    with pytest.raises(InputError, match=message):
        parse(text)


def test_unreadable_document_is_an_error(tmp_path: Path):
    (tmp_path / "latin.qmd").write_bytes(b"\xff\xfe\x00bad")
    for name in ("latin.qmd", "none.qmd"):
        with pytest.raises(InputError, match=rf"{name}: cannot be read"):
            notebook.read(tmp_path / name)
