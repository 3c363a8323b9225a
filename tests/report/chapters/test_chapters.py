"""All sentences, figures and tables of the report, in every situation."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from xml.etree import ElementTree

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline.report.look import floats, svg, theme
from pipeline.report.look.table import Table
from pipeline.report.results_json import plain
from pipeline.report.study import Study
from pipeline.report.words.numbers import NBSP
from tests.made_records import KINDS
from tests.report.chapters.tools import (
    FIGURES,
    FLOATS,
    SITUATIONS,
    drawings,
    every_sentence,
    grid,
)
from tests.report.conftest import StudyOf

COMPARATIVES = r"\b(more|less|better|worse) than\b|\b(gives up|adds|is worth|beats?|ahead of)\b"


@dataclass(frozen=True)
class Seen:
    """What is checked of a figure or table of any kind of study: the drawings are too large to keep."""

    number: str
    title: str
    reading: str
    sizes: list[tuple[float, float]]  # of its drawings
    rows: list[list[str]] | None  # of a table


Look = Callable[[str], dict[str, Seen]]


@pytest.fixture(scope="module")
def seen(study_of: StudyOf) -> Look:
    """Return what the report of a kind of study shows, by its labels: drawn once for all tests."""

    @cache
    def look(kind: str) -> dict[str, Seen]:
        study = study_of(kind)
        found = {label: floats.SHOWN[label](study) for label in FLOATS}
        return {label: _seen(one) for label, one in found.items() if isinstance(one, floats.Float)}

    return look


def _seen(found: floats.Float) -> Seen:
    content = found.content if isinstance(found.content, list) else [found.content]
    sizes = [tuple(one.get_size_inches()) for one in content if isinstance(one, Figure)]
    rows = grid(found) if isinstance(found.content, Table) else None
    return Seen(found.number, found.title, found.reading, sizes, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_sentences_are_whole_and_well_formed(kind: str, study_of: StudyOf) -> None:
    study = study_of(kind)
    for sentence in every_sentence(study):
        text = sentence.text.replace(NBSP, " ")
        assert text.endswith("."), text
        assert not re.search(r"  | ,| \.|\.\.|,,|;;|None|nan|inf\b|\{|\}", _without_names(text, study)), text
        assert text[0].isupper() or text[0].isdigit() or text.startswith(tuple(_names(study))), text
        assert not re.search(r"\b1 (images|seeds|models|parameters|files|classes|errors)\b", text), text
        assert not re.search(r"\b(one|two|three|\d+) (seed|model|image)\b(?<!one seed)(?<!one image)"
                             r"(?<!one model)(?<!1 image)", text), text  # fmt: skip


def _names(study: Study) -> list[str]:
    return [model.name for model in study.models]


def _without_names(text: str, study: Study) -> str:
    for name in sorted((*study.classes, *_names(study)), key=len, reverse=True):
        text = text.replace(f"“{name}”", "“x”").replace(name, "x" if len(name) > 3 else name)
    return text


@pytest.mark.parametrize("kind", SITUATIONS)
def test_sentences_refer_only_to_what_has_content(kind: str, study_of: StudyOf, seen: Look) -> None:
    sentences = every_sentence(study_of(kind))
    assert {label for sentence in sentences for label in sentence.references} <= seen(kind).keys()


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_bears_evidence_that_fits_json(kind: str, study_of: StudyOf) -> None:
    for sentence in every_sentence(study_of(kind)):
        json.dumps(plain(sentence.as_dict), allow_nan=False)
        assert sentence.evidence, sentence.rule


def test_no_comparative_is_claimed_of_models_that_cannot_be_told_apart(study_of: StudyOf) -> None:
    for kind in ("tie", "perfect"):
        study = study_of(kind)
        for sentence in every_sentence(study):
            of_accuracy = not sentence.rule.startswith(("cost.", "answer.cost", "limits.", "learning."))
            assert not of_accuracy or not re.search(COMPARATIVES, sentence.text), sentence.text


@pytest.mark.parametrize("kind", KINDS)
def test_every_accuracy_comparison_that_is_claimed_is_distinguishable(kind: str, study_of: StudyOf) -> None:
    claims = {
        "answer.accuracy.transfer",
        "answer.accuracy.scratch",
        "answer.pretraining.gain",
        "pretraining.fine_tune.gain",
        "pretraining.linear_probe.gain",
        "pretraining.tuning.gain",
    }
    for sentence in every_sentence(study_of(kind)):
        if sentence.rule in claims:
            assert sentence.evidence["distinguishable"], sentence.text
            assert sentence.evidence["p_holm"] < 0.05


def test_sentences_do_not_repeat_each_other(study_of: StudyOf) -> None:
    for kind in KINDS:
        texts = [sentence.text for sentence in every_sentence(study_of(kind))]
        assert len(texts) == len(set(texts))


@pytest.mark.parametrize("kind", SITUATIONS)
def test_every_table_is_whole_in_every_situation(seen: Look, kind: str) -> None:
    for name, found in seen(kind).items():
        if found.rows is not None:
            assert len(found.rows) > 1, name
            assert len({len(row) for row in found.rows}) == 1, name


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("one_model", "tbl-tests"),
        ("perfect", "tbl-confused"),
        ("perfect", "tbl-errors"),
        ("perfect", "tbl-all-miss"),
        ("one_seed", "fig-balance"),
        ("all_failed", "tbl-models"),
        ("all_failed", "fig-curves"),
    ],
)
def test_what_has_no_content_leaves_nothing_behind(study_of: StudyOf, kind: str, name: str) -> None:
    found = floats.SHOWN[name](study_of(kind))
    assert found.data == floats.NOTHING  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", SITUATIONS)
def test_floats_are_numbered_in_their_order_without_gaps(seen: Look, kind: str) -> None:
    for word in ("Figure", "Table"):
        numbers = [found.number for found in seen(kind).values() if found.number.startswith(word)]
        assert numbers == [f"{word}{NBSP}{place}" for place in range(1, len(numbers) + 1)]


@pytest.mark.parametrize("kind", SITUATIONS)
def test_titles_say_something_and_readings_are_short(seen: Look, kind: str) -> None:
    for label, found in seen(kind).items():
        assert len(found.title) > 5, label
        assert not re.search(r"None|nan|\{|\}|  ", found.title.replace("{{<", "")), found.title
        assert len(found.reading.split()) <= 25, label


@pytest.mark.parametrize("kind", SITUATIONS)
def test_every_figure_can_be_drawn_in_every_situation(seen: Look, kind: str) -> None:
    for name, found in seen(kind).items():
        for width, height in found.sizes:
            assert width <= theme.WIDTH + 1e-9, name
            assert height <= theme.MAX_HEIGHT + 0.1, name


@pytest.mark.parametrize("name", FIGURES)
def test_hostile_names_leave_the_svg_well_formed(study_of: StudyOf, name: str) -> None:
    for drawing in drawings(name, study_of("hostile_names")):
        root = ElementTree.fromstring(svg.write(drawing))
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        assert not root.findall(".//{http://www.w3.org/2000/svg}script")


@pytest.mark.parametrize("name", sorted({*FIGURES} - {"fig-confusion"}))
def test_words_of_figures_are_9_px_high_on_a_phone(study_of: StudyOf, name: str) -> None:
    kind = {"fig-efficiency": "sizes", "fig-tuning": "tuned", "fig-balance": "two_classes"}.get(
        name, "one_seed"
    )
    for drawing in drawings(name, study_of(kind)):
        inches = drawing.get_figwidth()
        shown = 175 if inches <= theme.SMALL else 358  # px: one of two in a row, or alone, of a page of 390
        visible = [text for text in drawing.findobj(Text) if text.get_text() and text.get_visible()]
        assert min(text.get_fontsize() for text in visible) * shown / (72 * inches) >= 9


def test_models_keep_their_color_in_every_figure(study_of: StudyOf) -> None:
    study = study_of("one_seed")
    styles = theme.model_styles(study)
    assert len({style.color for style in styles.values()}) == len(study.models)
    for name in ("fig-curves", "fig-accuracy", "fig-per-class", "fig-pareto"):
        for drawing in drawings(name, study):
            colors = {theme.to_hex(line.get_color()) for line in drawing.findobj(theme.Line2D)}
            assert {style.color for style in styles.values()} <= colors, name
