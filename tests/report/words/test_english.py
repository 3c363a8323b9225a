"""Numbers as people read them, and hostile names that Markdown must show as written."""

import html
import re
from collections.abc import Sequence

import pypandoc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.report import diff_text
from pipeline.report.look import table
from pipeline.report.words import english, numbers
from pipeline.report.words.english import escape_markdown, flat
from pipeline.report.words.numbers import NBSP
from tests.made_records import HOSTILE_CLASSES

ASCII = "".join(map(chr, range(32, 127)))
HOSTILE = (
    *HOSTILE_CLASSES,
    "1. list", "a) list", "iv. roman", "(1) list", "(@) example", "- list", "+ list", "* list", "# heading",
    "> quote", "| line block", ": definition", "% title", "~~~", "```", "***", "---", "===", "::: div",
    "    code", "a -- b --- c ... 'q' \"Q\"", "[^1]: note", "http://example.com/x_y", "www.example.com",
    "me@example.com", "&amp; &lt; &#35;", "H~2~O x^2^", "==mark==", "word:smile:", ":smile: x", "@fig-1 [@x]",
    "\\newpage", "\\(x\\)", "$$x$$", "{.class}", "![x](y)", "<!-- c -->", "`{python} 1`", "{{< video x >}}",
    "{{{< x >}}}", "trailing\\", "10% off; a/b?", "-", "_", "=", "+", "!", "(", ".", "1.", "é ü 日本 👩‍👩‍👧",
    "#import \"x\": *", "https://a.b/?c=d&e=f#g", "a:b ::c", "custom_cnn", "x = y == z", "..", "Mr. X (Y).",
)  # fmt: skip


def shown_as(names: Sequence[str], reader: str = "markdown") -> list[str]:
    """Return what a reader of the HTML sees of names that are a paragraph each."""
    markdown = "\n\n".join(escape_markdown(name) for name in names)
    page = pypandoc.convert_text(markdown, "html", format=reader, extra_args=["--wrap=none"]).strip()
    assert page.count("<") == 2 * len(names), page
    return [html.unescape(found) for found in re.findall("<p>(.*)</p>", page)]


@pytest.mark.parametrize("reader", ["markdown", "markdown+emoji+autolink_bare_uris+mark", "gfm"])
def test_hostile_names_are_shown_as_written(reader: str) -> None:
    assert shown_as(HOSTILE, reader) == [flat(name) for name in HOSTILE]


def test_hostile_names_are_shown_as_written_within_a_sentence_a_table_and_a_list() -> None:
    names = [escape_markdown(name) for name in HOSTILE]
    sentences = "\n\n".join(f"The class “{name}” is hard ({name})." for name in names)
    table = "| Class | n |\n|---|--:|\n" + "\n".join(f"| {name} | 1 |" for name in names)
    items = "\n".join(f"- {name}" for name in names)
    plain = pypandoc.convert_text(sentences, "plain", format="markdown", extra_args=["--wrap=none"])
    cells = pypandoc.convert_text(table, "html", format="markdown", extra_args=["--wrap=none"])
    bullets = pypandoc.convert_text(items, "html", format="markdown", extra_args=["--wrap=none"])
    assert plain.split("\n\n") == [f"The class “{flat(n)}” is hard ({flat(n)})." for n in HOSTILE[:-1]] + [
        f"The class “{flat(HOSTILE[-1])}” is hard ({flat(HOSTILE[-1])}).\n"
    ]
    found = [html.unescape(cell) for cell in re.findall(r"<td[^>]*>(.*?)</td>", cells)]
    assert found[::2] == [flat(name) for name in HOSTILE]
    assert [html.unescape(b) for b in re.findall(r"<li>(.*?)</li>", bullets)] == [flat(n) for n in HOSTILE]


def test_hostile_names_survive_typst() -> None:
    markdown = "\n\n".join(escape_markdown(name) for name in HOSTILE)
    typst = pypandoc.convert_text(markdown, "typst", format="markdown")
    back = pypandoc.convert_text(typst, "plain", format="typst", extra_args=["--wrap=none"])
    shown = back.rstrip("\n").replace("…", "...").split("\n\n")
    assert shown == [flat(name) for name in HOSTILE]


@settings(max_examples=10, deadline=None)
@given(st.lists(st.text(alphabet=ASCII + "é\n\t", min_size=1, max_size=30).filter(flat), min_size=20))
def test_any_text_is_shown_as_written(names: list[str]) -> None:
    assert shown_as(names) == [flat(name) for name in names]


def test_names_from_right_to_left_keep_their_direction_to_themselves() -> None:
    markdown = table.name("كلب 7") + ": 12; " + escape_markdown("most often “קוף” for “cat”: 3 images.")
    page = pypandoc.convert_text(markdown, "html", format="markdown")
    assert "<bdi>كلب 7</bdi>: 12" in page
    assert "“<bdi>קוף</bdi>” for “cat”: 3" in page
    paper = pypandoc.convert_text(markdown, "typst", format="markdown")
    assert "\u2068كلب 7\u2069: 12" in paper
    assert "bdi" not in paper
    cells = table.table(["x"], [[table.name("كلب <7>")], [escape_markdown("“קוף”: 3.")]], "l")
    assert "<bdi>كلب &lt;7&gt;</bdi>" in cells.html
    assert "“<bdi>קוף</bdi>”: 3." in cells.html
    assert "\u2068كلب <7>\u2069" in cells.typst
    assert cells.plain == [["x"], ["كلب <7>"], ["“קוף”: 3."]]
    assert diff_text._escaped("“קוף” *x*") == r"“קוף” \*x\*"  # for a terminal and GitHub


def test_shortcodes_are_broken_up() -> None:
    assert "{{<" not in escape_markdown("{{< include secret >}}")


def test_control_characters_and_line_breaks_become_spaces() -> None:
    assert flat(" a\nb\x00\u202ec\td ") == "a b c d"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (numbers.percent(0.90125), "90.1 %"),
        (numbers.percent(1.0), "100.0 %"),
        (numbers.percent_range(0.886, 0.9123), "88.6 to 91.2 %"),
        (numbers.points(-0.0213), "2.1 points"),
        (numbers.points_range(-0.004, 0.0213), "−0.4 to +2.1 points"),
        (numbers.signed(-0.0004), "0.0"),
        (numbers.p_value(1e-9), "p < 0.001"),
        (numbers.p_value(0.0312), "p = 0.031"),
        (numbers.p_value(0.5), "p = 0.50"),
        (numbers.duration(0.00027), "0.27 ms"),
        (numbers.duration(0.42), "0.42 s"),
        (numbers.duration(9.96), "10.0 s"),
        (numbers.duration(59.7), "1 min"),
        (numbers.duration(95), "1 min 35 s"),
        (numbers.duration(3599.6), "1 h"),
        (numbers.duration(3900), "1 h 5 min"),
        (numbers.latency(0.0098), "9.8 ms"),
        (numbers.latency(0.00004), "0.04 ms"),
        (numbers.latency(2.5), "2.5 s"),
        (numbers.quantity(12810), "12,810"),
        (numbers.quantity(3384558), "3.38 M"),
        (numbers.quantity(15.47e9), "15.5 G"),
        (numbers.data_size(13538232), "13.5 MB"),
        (numbers.data_size(12), "12 bytes"),
        (numbers.energy(6.62), "6.6 J"),
        (numbers.energy(66.2), "66 J"),
        (numbers.energy(1800), "0.50 Wh"),
        (numbers.energy(7200), "2.0 Wh"),
        (numbers.energy(1_800_000), "500 Wh"),
        (numbers.energy(5_400_000), "1.5 kWh"),
        (numbers.times(4.32), "4.3 times"),
        (numbers.times(17.8), "18 times"),
        (english.number_word(3), "three"),
        (english.number_word(1200), "1,200"),
        (english.plural(1, "image"), "1 image"),
        (english.plural(2000, "image"), "2,000 images"),
        (english.plural(2, "class", "classes"), "2 classes"),
        (english.join([]), ""),
        (english.join(["a"]), "a"),
        (english.join(["a", "b"], "or"), "a or b"),
        (english.join(["a", "b", "c"]), "a, b and c"),
        (english.opened("the custom CNN"), "The custom CNN"),
        (english.opened("ResNet-18 from scratch"), "ResNet-18 from scratch"),
    ],
)
def test_numbers_and_words_read_well(found: str, expected: str) -> None:
    assert found.replace(NBSP, " ") == expected
