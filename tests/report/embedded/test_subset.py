import pytest

from pipeline.errors import RenderError, UnsupportedSyntaxError
from pipeline.report.embedded import renderer
from pipeline.report.embedded.configuration import read_configuration
from pipeline.report.embedded.document import parse_document
from tests.report.embedded.tools import display, figure, markdown, page_of


def cell(*options, code="1"):
    return "\n".join(["```{python}", *(f"#| {option}" for option in options), code, "```", ""])


REFUSED = {
    "cell option": (cell("label: a", "fig-fnord: 3"), "report.qmd:3: cell option 'fig-fnord'"),
    "cell option of knitr": (cell("fig-width: 5"), "report.qmd:2: cell option 'fig-width'"),
    "value of a cell option": (
        cell("echo: fenced"),
        r"report.qmd:2: cell option 'echo: fenced' \(it must be",
    ),
    "figure without caption": (
        cell("label: fig-a"),
        "report.qmd:1: cell 'fig-a' without the option 'fig-cap'",
    ),
    "table without caption": (
        cell("label: tbl-a"),
        "report.qmd:1: cell 'tbl-a' without the option 'tbl-cap'",
    ),
    "caption of another kind": (
        cell("label: tbl-a", "tbl-cap: T", "fig-cap: F"),
        "report.qmd:1: 'fig-cap' in",
    ),
    "shortcode": ("Words\n\n{{< video x.mp4 >}}\n", "report.qmd:3: shortcode '{{< video >}}'"),
    "inline language": ("\n`{r} 1+1`\n", "report.qmd:2: inline code in 'r'"),
    "callout": ("\n::: {.callout-fnord}\nx\n:::\n", "report.qmd:2: callout 'callout-fnord'"),
    "column": ("::: {.column-margin}\nx\n:::\n", "report.qmd:1: class 'column-margin'"),
    "panel": ("::: {.panel-sidebar}\nx\n:::\n", "report.qmd:1: class 'panel-sidebar'"),
    "attribute": ("::: {.panel-tabset group=x}\n# a\n:::\n", "report.qmd:1: attribute 'group'"),
    "layout": ('::: {layout="[1,2]"}\nx\n:::\n', "report.qmd:1: attribute 'layout'"),
    "style": ('[x]{style="color: red"}', "report.qmd:1: attribute 'style'"),
    "heading": ("# Head {visibility=hidden}\n", "report.qmd:1: attribute 'visibility'"),
    "equation": ("\n$$ x $$ {#eq-one}\n", r"report.qmd:2: a numbered equation"),
    "listing": ("```{#lst-a .python}\n1\n```\n", "report.qmd:1: the label '#lst-a'"),
    "theorem": ("::: {#thm-a}\nx\n:::\n", "report.qmd:1: the label '#thm-a'"),
    "citation": ("As @knuth1984 says.\n", "report.qmd:1: the citation '@knuth1984'"),
    "words after a reference": (
        "---\nnumber-sections: true\n---\n# A {#sec-a}\n\n[@sec-a part]\n",
        "report.qmd:6: the text 'part' after",
    ),
    "condition": (
        '\n::: {.content-visible when-format="pdf"}\nx\n:::\n',
        "report.qmd:2: condition 'when-format=pdf'",
    ),
    "profile": ('::: {.content-hidden when-profile="x"}\nx\n:::\n', "report.qmd:1: attribute 'when-profile'"),
    "html in the text": ("One\n\n<p>two</p>\n", "report.qmd:3: HTML '<p>' outside"),
    "html in a line": ("One <b>two</b>\n", "report.qmd:1: HTML '<b>' outside"),
    "latex": ("\n\\newpage\n", r"report.qmd:2: raw tex '\\newpage'"),
    "raw block": ("```{=latex}\nx\n```\n", "report.qmd:1: raw latex 'x'"),
    "yaml in the text": (
        "Words\n\n---\nbibliography: x.bib\n---\n",
        "report.qmd:4: 'bibliography' in a YAML block",
    ),
    "option": ("---\ntitle: T\nbibliography: x.bib\n---\n", "report.qmd:3: option 'bibliography'"),
    "format": ("---\nformat:\n  docx: default\n---\n", "report.qmd:3: format 'docx'"),
    "format option": ("---\nformat:\n  html:\n    grid: 3\n---\n", "report.qmd:4: html option 'grid'"),
    "theme": (
        "---\nformat:\n  html:\n    theme: cosmo\n---\n",
        r"report.qmd:4: html option 'theme: cosmo' \(it must",
    ),
    "math method": (
        "---\nformat:\n  html:\n    html-math-method: katex\n---\n",
        "report.qmd:4: html option 'html-m",
    ),
    "execute option": ("---\nexecute:\n  freeze: auto\n---\n", "report.qmd:3: execute option 'freeze: auto'"),
}


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_known_is_refused_by_name_and_line(tmp_path, text, message):
    with pytest.raises(UnsupportedSyntaxError, match=message) as caught:
        page_of(text, tmp_path)
    assert "not supported by the embedded renderer" in str(caught.value)
    assert "\n" not in str(caught.value)


WRONG = {
    "reference to nothing": ("See\n@fig-none.\n", "report.qmd:2: '@fig-none' refers to nothing"),
    "section without numbers": (
        "# A {#sec-a}\n\n@sec-a\n",
        "report.qmd:3: '@sec-a' needs 'number-sections: true'",
    ),
    "tabset without tabs": (
        "\n::: {.panel-tabset}\nx\n:::\n",
        "report.qmd:2: a panel-tabset must start with",
    ),
    "figure block without caption": ("::: {#fig-a}\n:::\n", "report.qmd:1: '#fig-a' has no caption"),
    "missing image": ("\n![](none.png)\n", "report.qmd:2: the image 'none.png' is not a file"),
    "unknown image": ("![](page.bmp)\n", "report.qmd:1: the image 'page.bmp' is none of"),
    "figure that is none": (
        cell("label: fig-a", "fig-cap: F"),
        "report.qmd:1: cell 'fig-a' displayed no figure",
    ),
}


@pytest.mark.parametrize(("text", "message"), WRONG.values(), ids=WRONG.keys())
def test_mistakes_are_errors_with_their_line(tmp_path, text, message):
    with pytest.raises(RenderError, match=message):
        page_of(text, tmp_path, [[markdown("no figure")]])


def test_parts_without_their_captions_are_an_error(tmp_path):
    text = cell("label: fig-a", "fig-cap: F", "fig-subcap: [one]")
    with pytest.raises(RenderError, match=r"displayed 2 figures, but has 1 fig-subcap"):
        page_of(text, tmp_path, [[figure(), figure()]])


def test_output_without_a_form_for_paper_is_refused(tmp_path):
    with pytest.raises(
        UnsupportedSyntaxError, match=r"report.qmd:1: cell displays application/javascript, which"
    ):
        page_of(cell(), tmp_path, [[display({"application/javascript": "alert(1)"})]])


def test_unsupported_markup_in_an_output_is_refused_by_its_cell(tmp_path):
    with pytest.raises(UnsupportedSyntaxError, match=r"report.qmd:3: HTML '<br>' outside"):
        page_of("Words\n\n" + cell(), tmp_path, [[markdown("| A |\n|---|\n| x<br>y |\n")]])


def test_close_names_are_suggested(tmp_path):
    with pytest.raises(UnsupportedSyntaxError, match=r"Did you mean 'fig-cap'\?"):
        page_of(cell("fig-capt: x"), tmp_path)


def test_project_options_are_refused_by_file_and_line(tmp_path):
    (tmp_path / "_quarto.yml").write_text("project:\n  pre-render: make.py\n")
    with pytest.raises(UnsupportedSyntaxError, match=r"_quarto.yml:2: project option 'pre-render'"):
        page_of("Words\n", tmp_path)


def test_missing_include_is_an_error(tmp_path):
    text = "---\nformat:\n  html:\n    css: none.css\n---\n\nWords\n"
    with pytest.raises(Exception, match=r"_quarto.yml: css: .*none.css cannot be read"):
        page_of(text, tmp_path)


def test_unsupported_syntax_is_found_before_any_cell_runs(tmp_path):
    (tmp_path / "report.qmd").write_text(
        "```{python}\nopen('ran', 'w')\n```\n\n```{python}\n#| fnord: 1\n1\n```\n"
    )
    with pytest.raises(UnsupportedSyntaxError, match=r"report.qmd:6: cell option 'fnord'"):
        renderer.render(tmp_path / "report.qmd", {}, ("html",), {})
    assert not (tmp_path / "ran").exists()


def test_options_of_a_format_win_over_general_ones_and_the_header_over_the_project(tmp_path):
    (tmp_path / "_quarto.yml").write_text(
        "toc: true\nexecute: {echo: false}\n"
        "format:\n  html: {toc: false, echo: true}\n  typst: {fontsize: 9pt}\n"
    )
    document = parse_document(
        "---\nlang: de\nformat:\n  typst: {fontsize: 8pt}\n---\n", tmp_path / "report.qmd"
    )
    page, paper = (read_configuration(document, name) for name in ("html", "typst"))
    assert (page.get("toc"), page.get("echo"), page.get("lang"), page.get("fontsize")) == (
        False,
        True,
        "de",
        None,
    )
    assert (paper.get("toc"), paper.get("echo"), paper.get("fontsize")) == (True, False, "8pt")
