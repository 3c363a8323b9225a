"""What report.qmd does not use is refused by its name and line; what it uses wrongly is an error."""

import pytest
import yaml

from pipeline.errors import InputError, RenderError, UnsupportedSyntaxError
from pipeline.report.render import embedded, options
from tests.report.render.tools import (
    PROJECT,
    cell,
    display,
    figure,
    markdown,
    page_of,
    paper_of,
    printed,
    write_project,
)

REFUSED = {
    "cell option": (cell("label: a", "fig-fnord: 3"), "report.qmd:3: cell option 'fig-fnord'"),
    "code shown": (cell("echo: true"), "report.qmd:2: cell option 'echo'"),
    "parts of a figure": (cell("fig-subcap: [a]"), "report.qmd:2: cell option 'fig-subcap'"),
    "value": (cell("include: 3"), r"report.qmd:2: cell option 'include: 3' \(it must be true or false\)"),
    "figure without caption": (cell("label: fig-a"), "report.qmd:1: a cell with only one of 'fig-cap' and"),
    "table without caption": (cell("label: tbl-a"), "report.qmd:1: a cell with only one of 'tbl-cap' and"),
    "caption of another kind": (
        cell("label: tbl-a", "tbl-cap: T", "fig-cap: F"),
        "report.qmd:1: a cell with",
    ),
    "tabset": ("\n::: {.panel-tabset}\nx\n:::\n", "report.qmd:2: Div class 'panel-tabset'"),
    "callout": ("\n::: {.callout-note}\nx\n:::\n", "report.qmd:2: Div class 'callout-note'"),
    "label": (cell("label: a b"), "report.qmd:1: the label .a b., which is not of letters"),
    "column": ("::: {.column-margin}\nx\n:::\n", "report.qmd:1: Div class 'column-margin'"),
    "any class": ("One\n\n::: {.mine}\nx\n:::\n", "report.qmd:3: Div class 'mine'"),
    "columns": ("::: {layout-ncol=2}\nx\n:::\n", "report.qmd:1: Div attribute 'layout-ncol'"),
    "figure by hand": ("::: {#fig-a}\nx\n\nWords\n:::\n", "report.qmd:1: Div '#fig-a'"),
    "span": ("One [x]{.mine}\n", "report.qmd:1: Span 'x'"),
    "heading": ("## Head {visibility=hidden}\n", "report.qmd:1: Header attribute 'visibility'"),
    "unnumbered": ("## Head {.unnumbered}\n", "report.qmd:1: Header class 'unnumbered'"),
    "level": ("Words\n\n# Head\n", "report.qmd:3: the heading 'Head' of level 1"),
    "formula": ("\nOf $x^2$.\n", r"report.qmd:2: Math 'x\^2'"),
    "listing": ("```python\nx = 1\n```\n", "report.qmd:2: CodeBlock 'x = 1'"),
    "picture": ("\n![](page.svg)\n", "report.qmd:1: Image ''"),
    "caption of a table": ("| A |\n|---|\n| 1 |\n\n: Words\n", "report.qmd:5: a caption inside a table"),
    "citation": ("\nAs @knuth1984 says.\n", "report.qmd:2: '@knuth1984' refers to nothing"),
    "brackets": ("As [@fig-a] says.\n", "report.qmd:1: the citation '.*', which is not a plain @fig"),
    "condition": (
        '\n::: {.content-visible when-format="pdf"}\nx\n:::\n',
        "report.qmd:2: condition 'when-for",
    ),
    "other condition": (
        '::: {.content-hidden when-format="html"}\nx\n:::\n',
        "report.qmd:1: content-hidden with a condition",
    ),
    "html in the text": ("One\n\n<p>two</p>\n", "report.qmd:3: HTML '<p>' outside"),
    "html in a line": ("One <b>two</b>\n", "report.qmd:1: HTML '<b>' outside"),
    "latex": ("\n\\newpage\n", r"report.qmd:2: raw tex '\\newpage'"),
    "raw block": ("```{=latex}\nx\n```\n", "report.qmd:1: raw latex 'x'"),
    "yaml in the text": (
        "Words\n\n---\nbibliography: x.bib\n---\n",
        "report.qmd:4: 'bibliography' in YAML inside",
    ),
    "footnote": ("Words.[^1]\n\n[^1]: More.\n", "report.qmd:3: Note 'More.'"),
    "option of the header": ("---\nbibliography: x.bib\n---\n", "report.qmd:2: option 'bibliography'"),
    "kernel": ("---\njupyter: julia\n---\n", r"report.qmd:2: option 'jupyter: julia' \(it must be python3\)"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_known_is_refused_by_name_and_line(tmp_path, text, message):
    with pytest.raises((UnsupportedSyntaxError, RenderError), match=message) as caught:
        page_of(tmp_path, text)
    assert "not supported by the embedded renderer" in str(caught.value) or "refers to nothing" in message
    assert "\n" not in str(caught.value)


PROJECTS = {
    "project: {pre-render: x.py}": "_quarto.yml:1: project option 'pre-render' is not",
    "bibliography: x.bib": "_quarto.yml:1: option 'bibliography' is not",
    "lang: en\nformat:\n  docx: {}": "_quarto.yml:3: format option 'docx' is not",
    "format:\n  html:\n    grid: 3": "_quarto.yml:3: html option 'grid' is not",
    "format:\n  html:\n    theme: cosmo": r"_quarto.yml:3: html option 'theme: cosmo' \(it must be none\)",
    "format: html": r"_quarto.yml:1: option 'format: html' \(it must be keys and values\)",
    "execute:\n  freeze: auto": "_quarto.yml:2: execute option 'freeze' is not",
    "execute: {echo: true}": r"_quarto.yml:1: execute option 'echo: True' \(it must be false\)",
    "toc-depth: three": r"_quarto.yml:1: option 'toc-depth: three' \(it must be a whole number\)",
    "engine: knitr": "_quarto.yml:1: option 'engine' is not",
}


@pytest.mark.parametrize(("text", "message"), PROJECTS.items())
def test_project_options_are_refused_by_file_and_line(tmp_path, text, message):
    (tmp_path / "_quarto.yml").write_text(text)
    with pytest.raises(UnsupportedSyntaxError, match=message):
        options.read_project(tmp_path)


def test_project_without_options_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"_quarto.yml: cannot be read"):
        options.read_project(tmp_path)


def test_options_of_a_format_win_over_general_ones():
    project = yaml.safe_load("toc: true\nlang: de\nformat:\n  html: {css: x}\n  typst: {toc: false}")
    assert options.of_format(project, "html")["toc"] is True
    assert options.of_format(project, "typst")["toc"] is False
    assert options.of_format(project, "typst")["lang"] == "de"


def test_close_names_are_suggested(tmp_path):
    with pytest.raises(UnsupportedSyntaxError, match=r"Did you mean 'fig-cap'\?"):
        page_of(tmp_path, cell("fig-capt: x"))


def test_reference_to_nothing_is_an_error_with_its_line(tmp_path):
    with pytest.raises(RenderError, match=r"report.qmd:2: '@fig-none' refers to nothing"):
        page_of(tmp_path, "See\n@fig-none.\n")


SHOWN = {
    "words in a figure": (("label: fig-a", "fig-cap: F"), markdown("x"), "shows text/markdown, text/plain"),
    "figure without label": ((), figure(), r"report.qmd:1: cell '1' shows image/svg\+xml, text/plain"),
    "html": (
        (),
        display({"text/html": "<b>x</b>"}),
        "shows text/html, which has no place on the page and on",
    ),
    "javascript": ((), display({"application/javascript": "alert(1)"}), "shows application/javascript"),
    "print": (("label: a",), printed("words"), "report.qmd:1: cell 'a' shows what it prints, which has no"),
    "value": ((), display({"text/plain": "3"}), "shows text/plain"),
}


@pytest.mark.parametrize(("found", "output", "message"), SHOWN.values(), ids=SHOWN.keys())
def test_output_without_a_place_in_both_formats_is_an_error(tmp_path, found, output, message):
    with pytest.raises(RenderError, match=message):
        paper_of(tmp_path, cell(*found), [[output]])


def test_markup_in_an_output_is_refused_by_its_cell(tmp_path):
    with pytest.raises(UnsupportedSyntaxError, match=r"report.qmd:3: HTML '<br>' outside"):
        page_of(tmp_path, "Words\n\n" + cell(), [[markdown("| A |\n|---|\n| x<br>y |\n")]])


def test_missing_include_is_an_error(tmp_path):
    project = {**PROJECT, "format": {"html": {"css": "none.css"}}}
    with pytest.raises(InputError, match=r"_quarto.yml: css: none.css is not a file"):
        embedded.render(write_project(tmp_path, "Words\n", project), {}, ("html",), {})


def test_unsupported_syntax_is_found_before_any_cell_runs(tmp_path):
    text = "```{python}\nopen('ran', 'w')\n```\n\n```{python}\n#| fnord: 1\n1\n```\n"
    with pytest.raises(UnsupportedSyntaxError, match=r"report.qmd:6: cell option 'fnord'"):
        embedded.render(write_project(tmp_path, text), {}, ("html",), {})
    assert not (tmp_path / "ran").exists()
