import re
from collections import Counter

import pytest

from pipeline.errors import RenderError
from tests.report.embedded.tools import Elements, display, page_of, words


def test_every_figure_and_table_is_numbered_in_order(every_feature):
    captions = re.findall(r"<figcaption[^>]*>(.*?)</figcaption>", every_feature.page, re.DOTALL)
    assert [words(caption) for caption in captions] == [
        "Figure 1: Accuracy per model, where x2 grows; see Section 1.1.",
        "Table 1: Scores of all models.",
        "Figure 2: Inside a tab.",
        "(a) First part.",
        "(b) Second part.",
        "Figure 3: Both parts together.",
        "Plain one",
        "Plain two",
        "Table 2: A Markdown table.",
        "Figure 4: A picture in a block.",
        "Figure 5: A picture",
        "Table 3: A table longer than a page.",
    ]


def test_references_are_links_to_what_they_name(every_feature):
    links = re.findall(r'<a href="#([\w-]+)" class="quarto-xref">(.*?)</a>', every_feature.page)
    assert Counter((target, words(text)) for target, text in links) >= Counter(
        {
            ("fig-bars", "Figure 1"): 2,
            ("fig-bars", "1"): 1,
            ("tbl-scores", "Table 1"): 1,
            ("sec-data", "Section 1.1"): 2,
            ("fig-parts", "Figure 3"): 2,
            ("fig-parts-2", "Figure 3 (b)"): 1,
            ("tbl-long", "Table 3"): 1,
        }
    )


def test_every_internal_link_has_its_target(every_feature):
    elements = Elements(every_feature.page)
    targets = {str(a["href"])[1:] for a in elements.tags("a") if str(a.get("href")).startswith("#")}
    assert targets <= set(elements.ids())


def test_page_is_well_formed_and_ids_are_unique(every_feature):
    elements = Elements(every_feature.page)
    assert elements.unbalanced == []
    assert [name for name, count in Counter(elements.ids()).items() if count > 1] == []


def test_contents_show_the_numbers_of_the_headings(every_feature):
    listed = re.search(r'<nav id="TOC".*?</nav>', every_feature.page, re.DOTALL)
    headings = re.findall(r"<h[123][^>]*id=.*?</h[123]>", every_feature.page, re.DOTALL)
    entries = [words(entry) for entry in re.findall(r"<a .*?</a>", listed[0])]
    assert entries == [words(heading) for heading in headings if "toc-title" not in heading]
    assert entries[:3] == ["1 Answer", "1.1 Data", "1.1.1 After the tabs"]
    assert entries[-1] == "Not numbered"


def test_title_block_has_title_authors_and_date(every_feature):
    assert "<title>Every feature</title>" in every_feature.page
    assert '<h1 class="title">Every <em>feature</em></h1>' in every_feature.page
    assert '<p class="author">Bob &amp; Co</p>' in every_feature.page
    assert '<meta name="dcterms.date" content="2026-11-22">' in every_feature.page
    assert "What the embedded renderer knows." in words(every_feature.page)


def test_page_holds_all_it_needs(every_feature):
    elements = Elements(every_feature.page)
    assert all(str(image["src"]).startswith("data:image/") for image in elements.tags("img"))
    assert not elements.tags("link")
    assert not [script for script in elements.tags("script") if "src" in script]


def test_every_figure_has_its_alternative_text(every_feature):
    texts = [image.get("alt") for image in Elements(every_feature.page).tags("img")]
    assert 'Two bars, "b" the higher.' in texts
    assert "Bars of the second part." in texts
    assert "A dark dot." in texts
    assert all(texts)


def test_formulas_are_mathml(every_feature):
    assert "<math " in every_feature.page


def test_table_headers_have_a_scope(every_feature):
    headers = Elements(every_feature.page).tags("th")
    assert headers
    assert all(header.get("scope") == "col" for header in headers)


def test_column_widths_of_a_cell_reach_its_table(every_feature):
    assert '<col style="width: 20%" />\n<col style="width: 80%" />' in every_feature.page


def test_tabs_are_accessible_and_titled_without_javascript(every_feature):
    elements = Elements(every_feature.page)
    tabs = [a for a in elements.tags("a") if a.get("role") == "tab"]
    panels = [d for d in elements.tags("div") if d.get("role") == "tabpanel"]
    assert [panel["id"] for panel in panels] == [tab["aria-controls"] for tab in tabs]
    assert [panel["aria-labelledby"] for panel in panels] == [tab["id"] for tab in tabs]
    assert [panel["data-title"] for panel in panels] == ["First tab", "Second tab"]
    assert [tab["aria-selected"] for tab in tabs] == ["true", "false"]


def test_callouts_keep_kind_title_and_fold(every_feature):
    assert re.search(r'<div class="callout [^"]*callout-note', every_feature.page)
    assert re.search(r'<details class="callout [^"]*callout-warning', every_feature.page)
    assert "Note: A titled note" in words(every_feature.page)
    assert re.search(r"Tip\s*</div>", every_feature.page)


def test_cell_options_decide_what_shows(every_feature):
    shown = words(every_feature.page)
    assert "a hidden print" not in shown
    assert "printed <b>text</b>" in shown
    assert "{'a': 0.9134}" in shown
    assert "a warning" in shown
    assert "never run" in shown
    assert every_feature.page.count('<details class="code-fold">') == 2
    assert "<summary>\nShow the code\n</summary>" in every_feature.page


def test_markdown_printed_as_it_is_becomes_part_of_the_document(every_feature):
    assert re.search(r"<h2[^>]*>.*Heading from a cell</h2>", every_feature.page)


def test_conditional_content_shows_on_the_page_only(every_feature):
    shown = words(every_feature.page)
    assert "Only on the page." in shown
    assert "Words of the page." in shown
    assert "paper" not in shown.replace("Raw paper", "").lower()
    assert "<div class='explorer'>a widget</div>" in every_feature.page
    assert '<p class="raw">Raw page</p>' in every_feature.page


def test_included_files_stand_in_their_places(every_feature):
    page = every_feature.page
    places = [
        "max-width: 50rem",
        "</head>",
        "<body>",
        'class="skip"',
        "title-block-header",
        "window.afterBody",
    ]
    positions = [page.index(place) for place in places]
    assert positions == sorted(positions)


def test_comments_are_left_out(every_feature):
    assert "a comment" not in every_feature.page


def test_hostile_text_is_shown_as_it_stands(hostile_text):
    name = (
        "<script>alert('x')</script> $x$ #set @fig-one *b* `c` [l](u) {{< meta title >}} \\ _i_ ~s~ ^p^ ::: |"
    )
    assert words(hostile_text.page).count(name) == 2
    assert name.replace("\\", "\\\\") in words(hostile_text.page)  # the repr of the last expression
    assert "a number -3.5 and a list ['<b>', '$y$']" in words(hostile_text.page)
    assert "<script>alert" not in hostile_text.page


def test_large_raw_html_comes_through_unchanged(tmp_path):
    payload = "<div data-x='" + "A" * 2_000_000 + "'>\n\n# no heading\n</div>"
    page = page_of("```{=html}\n" + payload + "\n```\n", tmp_path)
    assert payload in page


@pytest.mark.parametrize(
    "html",
    [
        '<img src="https://example.org/x.png">',
        '<script src="//example.org/x.js"></script>',
        '<link rel="stylesheet" href="style.css">',
        "<style>@import 'https://example.org/x.css';</style>",
        "<style>p { background: url(https://example.org/x.png) }</style>",
        '<iframe\nsrc="https://example.org">',
    ],
)
def test_page_that_would_ask_for_something_is_an_error(tmp_path, html):
    with pytest.raises(RenderError, match=r"(example.org|style.css)"):
        page_of(f"```{{=html}}\n{html}\n```\n", tmp_path)


def test_plain_links_are_not_requests(tmp_path):
    page = page_of(
        '[a link](https://example.org/x.png) and `<a href="https://example.org">b</a>`{=html}', tmp_path
    )
    assert 'href="https://example.org/x.png"' in page


def test_html_of_a_cell_is_shown_raw(tmp_path):
    page = page_of("```{python}\n1\n```\n", tmp_path, [[display({"text/html": "<b class='x'>raw</b>"})]])
    assert "<b class='x'>raw</b>" in page


def test_images_that_a_script_writes_are_left_to_it(tmp_path):
    script = "<script>document.body.innerHTML = '<img src=\"' + picture + '\">';</script>"
    assert script in page_of(f"```{{=html}}\n{script}\n```\n", tmp_path)
