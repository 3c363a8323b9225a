"""The page and the paper of small documents."""

import base64
import re
from io import BytesIO

import pytest
from pypdf import PdfReader

from pipeline.errors import RenderError
from pipeline.report.render import embedded
from tests.report.paper import pages_of, words_of
from tests.report.render.tools import (
    PROJECT,
    SVG,
    cell,
    display,
    figure,
    markdown,
    page_of,
    paper_of,
    printed,
    words,
    write_project,
    written,
)

FIGURE = ("label: fig-a", 'fig-cap: "A *figure*, see @tbl-b."', "fig-alt: 'Bars, \"b\" the higher.'")
TABLE = ("label: tbl-b", "tbl-cap: Scores.")
BOTH = f"## One\n\nSee @fig-a and @tbl-b.\n\n{cell(*FIGURE)}\n\n### Deeper\n\n{cell(*TABLE)}\n"
OUTPUTS = [[figure()], [markdown("| A | B |\n|---|--:|\n| 1 | 2 |\n")]]
NAME = "<script>alert('x')</script> $x$ #set @fig-one *b* `c` [l](u) {{< meta title >}} \\ _i_ ~s~ ^p^ ::: |"


def test_figures_and_tables_are_numbered_and_cited_the_same_in_both_formats(tmp_path):
    files, warnings = written(tmp_path, BOTH, OUTPUTS, ("html", "pdf"))
    page, paper = files["html"].decode(), words_of(files["pdf"])
    captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", page, re.DOTALL)
    assert [words(c) for c in captions] == ["Figure 1: A figure, see Table 1.", "Table 1: Scores."]
    links = re.findall(r'<a href="#([\w-]+)" class="quarto-xref">(.*?)</a>', page)
    assert [(target, words(text)) for target, text in links] == [
        ("fig-a", "Figure 1"), ("tbl-b", "Table 1"), ("tbl-b", "Table 1"),
    ]  # fmt: skip
    assert 'id="fig-a"' in page
    assert (
        "One See Figure 1 and Table 1. Figure 1: A figure, see Table 1. Deeper Table 1: Scores. A B 1 2"
        in paper
    )
    assert warnings == []


def test_captions_stand_above_tables_and_below_figures(tmp_path):
    page = page_of(tmp_path, BOTH, OUTPUTS)
    places = [page.index(piece) for piece in ("<img", "A <em>figure</em>", "Scores.", "<table")]
    assert places == sorted(places)


def test_a_drawing_reaches_both_formats_with_its_alternative(tmp_path):
    files, _ = written(tmp_path, BOTH, OUTPUTS, ("html", "pdf"))
    drawn = base64.b64encode(SVG.encode()).decode()
    assert f'<img src="data:image/svg+xml;base64,{drawn}" alt="Bars, &quot;b&quot; the higher.">' in (
        files["html"].decode()
    )
    assert b'Bars, "b" the higher.' in PdfReader(BytesIO(files["pdf"])).stream.getvalue()


def test_a_figure_without_alternative_is_a_warning(tmp_path):
    text = cell("label: fig-a", "fig-cap: A figure.")
    files, warnings = written(tmp_path, f"Words\n\n{text}", [[figure()]], ("html", "pdf"))
    assert warnings == ["report.qmd:3: cell 'fig-a' draws a figure, but has no fig-alt."]
    assert "Figure 1: A figure." in words_of(files["pdf"])


def test_a_cell_that_shows_nothing_leaves_no_caption(tmp_path):
    page = page_of(tmp_path, cell(*TABLE) + "\n" + cell("label: tbl-c", "tbl-cap: Next."), [[], OUTPUTS[1]])
    assert "Scores." not in page
    assert "Table\u00a01: Next." in page


def test_hidden_cells_and_warnings_show_nothing(tmp_path):
    text = cell("include: false") + "\n" + cell()
    page = page_of(tmp_path, text, [[printed("words"), figure()], [printed("a warning", "stderr")]])
    assert words(page[page.index("<body>") :]) == ""


def test_conditional_content_shows_in_its_format_only(tmp_path):
    text = '::: {.content-visible when-format="html"}\n### On the page\n\n' + cell() + ":::\n\nWords.\n\n"
    text += '::: {.content-visible when-format="typst"}\nOn paper.\n:::\n'
    outputs = [[markdown("```{=html}\n<b>widget</b>\n```\n")]]
    files, _ = written(tmp_path, text, outputs, ("html", "pdf"))
    page = words(files["html"].decode().partition("<h3")[2])
    assert "widget Words." in page
    assert "On paper" not in page
    assert words_of(files["pdf"]) == "Words. On paper."


def test_raw_blocks_are_for_one_format_each_and_unchanged(tmp_path):
    payload = "<div data-x='" + "A" * 2_000_000 + "'>\n\n# no heading\n\n@fig-none</div>"
    text = f"````{{=html}}\n{payload}\n````\n\n```{{=typst}}\n#text[Raw paper]\n```\n\n<!-- a comment -->\n"
    files, _ = written(tmp_path, text, formats=("html", "pdf"))
    assert payload in files["html"].decode()
    assert "Raw paper" not in files["html"].decode()
    assert "a comment" not in files["html"].decode()
    assert words_of(files["pdf"]) == "Raw paper"


def test_hostile_text_is_shown_as_it_stands(tmp_path):
    text = f"```{{python}}\n#| include: false\nname = {NAME!r}\n```\n\n"
    text += "One `{python} name`; a number `{python} -3.5`, a list `{python} ['<b>', '$y$']`.\n"
    files, _ = embedded.render(write_project(tmp_path, text), {}, ("html", "pdf"), {})
    shown, paper = words(files["html"].decode()), words_of(files["pdf"])
    assert f"One {NAME}; a number -3.5, a list ['<b>', '$y$']." in shown
    assert "<script>alert" not in files["html"].decode()
    assert "{{< meta title >}}" in paper
    assert "<script>alert('x')</script> $x$ #set @fig-one" in paper


def test_contents_list_the_headings_down_to_their_depth(tmp_path):
    page = page_of(tmp_path, "## One\n\n### Sub\n\n#### Deep\n\n## Two\n")
    listed = page[page.index("<nav") : page.index("</nav>")]
    assert words(listed) == "Table of contents One Sub Two"
    project = {**PROJECT, "toc": False}
    qmd = write_project(tmp_path, "## One\n", project)
    assert b"<nav" not in embedded.render(qmd, {}, ("html",), {})[0]["html"]


def test_files_of_the_project_stand_in_their_places(tmp_path):
    for name in ("head.html", "before.html", "after.html"):
        (tmp_path / name).write_text(f"<!-- {name} -->")
    (tmp_path / "page.css").write_text("p > a { color: red }")
    html = {"pagetitle": "For <tabs>", "css": "page.css", "include-in-header": "head.html"}
    html |= {"include-before-body": "before.html", "include-after-body": "after.html"}
    qmd = write_project(tmp_path, "## One\n", {"lang": "de", "toc": True, "format": {"html": html}})
    page = embedded.render(qmd, {}, ("html",), {})[0]["html"].decode()
    pieces = ['lang="de"', "head.html", "p > a {", "<title>For &lt;tabs&gt;</title>", "<body>"]
    pieces += ["before.html", "<nav", "<h2 id", "after.html", "</body>"]
    places = [page.index(piece) for piece in pieces]
    assert sorted(places[1:4]) + places[4:] == sorted(places[1:])


def test_table_headers_have_a_scope(tmp_path):
    assert page_of(tmp_path, cell(), [OUTPUTS[1]]).count('scope="col"') == 2


def test_paper_has_its_size_standard_and_rules(tmp_path):
    (tmp_path / "page.typ").write_text('#set document(title: "Paper")\nAbove.\n')
    typst = {"papersize": "a5", "pdf-standard": "ua-1", "include-before-body": "page.typ"}
    qmd = write_project(tmp_path, "## One\n", {"format": {"typst": typst}})
    files, warnings = embedded.render(qmd, {}, ("pdf",), {})
    reader = PdfReader(BytesIO(files["pdf"]))
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [420, 595]
    assert b"pdfuaid:part" in reader.xmp_metadata.stream.get_data()
    assert words_of(files["pdf"]) == "Above. One"
    assert warnings == []


def test_paper_that_misses_its_standard_is_a_warning_and_written(tmp_path):
    typst = {"papersize": "a5", "pdf-standard": "ua-1"}
    qmd = write_project(tmp_path, "## One\n", {"format": {"typst": typst}})
    files, warnings = embedded.render(qmd, {}, ("pdf",), {})
    assert words_of(files["pdf"]) == "One"
    assert warnings[0].startswith("The PDF is tagged, but not fully accessible: PDF/UA-1 error: ")


def test_long_table_breaks_and_repeats_its_header(tmp_path):
    rows = "".join(f"| row {number} |\n" for number in range(60))
    pdf = written(tmp_path, cell(*TABLE), [[markdown(f"| Head |\n|---|\n{rows}")]], ("pdf",))[0]["pdf"]
    pages = pages_of(pdf)
    assert len(pages) > 1
    assert all("Head" in page for page in pages)


def test_wrong_typst_is_an_error_that_quotes_it(tmp_path):
    with pytest.raises(RenderError, match=r"Typst failed: .*unknown variable: nowhere"):
        paper_of(tmp_path, "```{=typst}\n#nowhere\n```\n")


def test_a_value_beside_markdown_is_left_out(tmp_path):
    page = page_of(tmp_path, cell(), [[display({"text/markdown": "Words.", "text/plain": "<Markdown>"})]])
    assert words(page[page.index("<body>") :]) == "Words."
