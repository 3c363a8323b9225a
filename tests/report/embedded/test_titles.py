import datetime

import pytest

from tests.report.embedded.tools import markdown, page_of, printed, words

CELL = "```{python}\n#| echo: false\n#| output: asis\n1\n```\n"


def test_yaml_that_a_cell_prints_names_the_report(tmp_path):
    text = "---\ntitle: Static\nauthor: Nobody\n---\n\nWords\n\n" + CELL
    said = '---\ntitle: "Digits: *CNN* or transfer?"\nauthor: [Ada, Bob]\n'
    said += "date: 2026-01-02\nabstract: Two words.\n---\n"
    page = page_of(text, tmp_path, [[printed(said)]])
    assert "<title>Digits: CNN or transfer?</title>" in page
    assert '<h1 class="title">Digits: <em>CNN</em> or transfer?</h1>' in page
    assert '<p class="author">Ada</p>\n<p class="author">Bob</p>\n<p class="date">2026-01-02</p>' in page
    assert "Two words." in words(page)
    assert "Static" not in page


def test_page_title_may_differ_from_the_title(tmp_path):
    text = '---\npagetitle: "For <tabs> & bookmarks"\n---\n\n# Report\n'
    page = page_of(text, tmp_path)
    assert "<title>For &lt;tabs&gt; &amp; bookmarks</title>" in page
    assert "title-block-header" not in page


def test_cell_may_set_the_page_title(tmp_path):
    page = page_of(CELL, tmp_path, [[markdown("---\npagetitle: Of a cell\n---\n")]])
    assert "<title>Of a cell</title>" in page


@pytest.mark.parametrize("word", ["today", "now"])
def test_date_may_be_today(tmp_path, word):
    page = page_of(f"---\ndate: {word}\n---\n\nWords\n", tmp_path)
    assert f'<p class="date">{datetime.date.today().isoformat()}</p>' in page


def test_contents_start_at_level_two_when_the_document_does(tmp_path):
    text = "---\ntoc: true\nnumber-sections: true\n---\n\n## One\n\n### Sub\n\n## Two\n\n#### Deep\n"
    page = page_of(text, tmp_path)
    listed = page[page.index("<nav") : page.index("</nav>")]
    assert words(listed) == "Table of contents 1 One 1.1 Sub 2 Two"
    assert listed.count("<ul>") == listed.count("</ul>") == 2
    assert words(page).endswith("2 Two 2.0.1 Deep")
