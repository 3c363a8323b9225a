import re
from io import BytesIO

import pytest
from pypdf import PdfReader

from pipeline.errors import RenderError
from pipeline.report.embedded.paper_blocks import quoted
from tests.report.embedded.tools import display, figure, markdown, render_text, words

CAPTIONED = """
```{python}
#| label: fig-a
#| fig-cap: "A figure."
1
```
"""


def paper_of(text, folder, outputs=()):
    pdf = render_text(text, folder, outputs, ("pdf",))["pdf"]
    pages = PdfReader(BytesIO(pdf)).pages
    return " ".join(" ".join(page.extract_text() for page in pages).split())


def test_captions_have_the_numbers_that_they_have_on_the_page(every_feature):
    captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", every_feature.page, re.DOTALL)
    numbered = [words(c) for c in captions if words(c).startswith(("Figure", "Table"))]
    assert numbered
    for caption in numbered:
        assert caption.replace("x2", "𝑥2") in every_feature.paper


def test_headings_have_the_numbers_that_they_have_on_the_page(every_feature):
    headings = re.findall(r"<h[123][^>]*id=.*?</h[123]>", every_feature.page, re.DOTALL)
    positions = [every_feature.paper.rindex(words(h)) for h in headings if "toc-title" not in h]
    assert positions == sorted(positions)


def test_tabs_become_headings_without_number(every_feature):
    assert "First tab Content one with Figure 2." in every_feature.paper
    assert "Second tab Content two." in every_feature.paper
    assert not re.search(r"\d First tab", every_feature.paper)


def test_conditional_content_shows_on_paper_only(every_feature):
    assert "Only on paper." in every_feature.paper
    assert "Only on the page." not in every_feature.paper
    assert "Words of the paper." in every_feature.paper
    assert "Raw paper" in every_feature.paper


def test_pdf_is_tagged_titled_and_meets_its_accessibility_standard(every_feature):
    reader = PdfReader(BytesIO(every_feature.pdf))
    assert reader.trailer["/Root"]["/MarkInfo"]["/Marked"]
    assert b"pdfuaid:part" in reader.xmp_metadata.stream.get_data()
    assert reader.metadata.title == "Every feature"
    assert reader.metadata.author == "Ada Lovelace, Bob & Co"
    assert every_feature.warnings == []


def test_long_table_breaks_and_repeats_its_header(every_feature):
    pages = [page.extract_text() for page in PdfReader(BytesIO(every_feature.pdf)).pages]
    holding = [page for page in pages if "of a long table" in page]
    assert len(holding) > 1
    assert all("No." in page for page in holding)
    assert "Table\u00a03: A table longer" in holding[0]
    assert len(re.findall(r"row \d+ of a long table", " ".join(holding))) == 60


def test_no_page_is_empty_and_each_has_its_number(every_feature):
    pages = [page.extract_text() for page in PdfReader(BytesIO(every_feature.pdf)).pages]
    for number, page in enumerate(pages, start=1):
        assert f"{number} / {len(pages)}" in page
        assert len(page) > 40


def test_options_of_the_format_reach_the_paper(every_feature):
    width, height = PdfReader(BytesIO(every_feature.pdf)).pages[0].mediabox[2:]
    assert (round(width), round(height)) == (420, 595)  # a5


def test_hostile_text_is_shown_as_it_stands(hostile_text):
    for piece in ("<script>alert('x')</script> $x$ #set @fig-one *b*", "{{< meta title >}}", "^p^ ::: |"):
        assert hostile_text.paper.count(piece) >= 2


def test_missing_alternative_text_is_a_warning_and_the_pdf_is_written(tmp_path):
    document = CAPTIONED.replace("#| label", "#| echo: false\n#| label")
    text = f"---\ntitle: T\n---\n\n# One\n\n{document}"
    assert "Figure 1: A figure." in paper_of(text, tmp_path, [[figure()]])


def test_cell_that_displays_only_html_is_refused_on_paper(tmp_path):
    with pytest.raises(RenderError, match=r"report.qmd:3: the cell displays HTML, which the PDF would lack"):
        paper_of("\n\n```{python}\n1\n```\n", tmp_path, [[display({"text/html": "<b>x</b>"})]])


def test_cell_that_displays_html_for_the_page_only_is_fine(tmp_path):
    text = '::: {.content-visible when-format="html"}\n\n```{python}\n1\n```\n\n:::\n\nWords.'
    assert paper_of(text, tmp_path, [[display({"text/html": "<b>x</b>"})]]).startswith("Words.")


def test_headings_start_at_level_one_when_the_document_leaves_it_to_the_title(tmp_path):
    text = "---\ntitle: T\nnumber-sections: true\n---\n\n## First\n\n### Sub\n\n## Second\n"
    assert re.search(r"1 First 1.1 Sub 2 Second", paper_of(text, tmp_path))


def test_wrong_typst_is_an_error_that_quotes_it(tmp_path):
    with pytest.raises(RenderError, match=r"Typst failed: .*unknown variable: nowhere"):
        paper_of("```{=typst}\n#nowhere\n```\n", tmp_path)


def test_unlabelled_markdown_table_stays_in_the_text(tmp_path):
    table = markdown("| A | B |\n|---|---|\n| 1 | 2 |\n")
    assert "A B 1 2" in paper_of("```{python}\n1\n```\n", tmp_path, [[table]])


@pytest.mark.parametrize("text", ['a "quoted" word', "back\\slash", "two\nlines", '\\"'])
def test_typst_strings_are_quoted(text):
    literal = quoted(text)
    inner = literal[1:-1].replace("\\\\", "\0").replace('\\"', "'")
    assert '"' not in inner
    assert inner.replace("'", '"').replace("\0", "\\") == text.replace("\n", " ")
