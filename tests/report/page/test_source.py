"""report.qmd as it is written: thin cells, everything shown in its order, every sentence said once."""

import re
from typing import Any

import pytest

from pipeline.report import chapters, page
from pipeline.report.look import floats, section
from pipeline.report.look.paragraph import Words
from pipeline.report.study import Study
from tests.made_records import KINDS
from tests.report.conftest import StudyOf

CELL = re.compile(r"^```\{python\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`\{python\} ([^`]+)`")
NAMES = vars(chapters) | {"page": page, "section": section}


def cells(source: str) -> list[list[str]]:
    """Return the lines of code of each cell but the setup."""
    found = (match[1] for match in CELL.finditer(source) if "label: setup" not in match[1])
    return [[line for line in cell.splitlines() if not line.startswith("#|")] for cell in found]


def called(code: str, study: Study) -> Any:
    return eval(code, NAMES | {"study": study})


def test_every_cell_but_the_setup_is_one_to_three_lines(source: str) -> None:
    assert all(1 <= len(lines) <= 3 for lines in cells(source))
    assert "#| include: false" in source


def test_floats_appear_once_and_in_the_order_that_numbers_them(source: str, study_of: StudyOf) -> None:
    shown = []
    for lines in cells(source):
        found = called(lines[-1], study_of("sizes")) if lines[-1].endswith("study)") else None
        shown += [found.label] if isinstance(found, floats.Float) else []
    expected = [one for one in (*floats.BODY, *floats.APPENDIX) if floats.has(one, study_of("sizes"))]
    assert shown == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_is_said_once(source: str, study_of: StudyOf, kind: str) -> None:
    study = study_of(kind)
    paragraphs = [called(code, study) for code in INLINE.findall(source)]
    said = [one.text for words in paragraphs if isinstance(words, Words) for one in words.shown]
    for name, sentences in chapters.verdict(study).items():
        if name != "short" and (study.models or name == "answer"):
            for sentence in sentences:
                assert said.count(sentence.text) == 1, sentence.rule


def test_every_chapter_is_shown(source: str) -> None:
    for chapter in chapters.CHAPTERS:
        if chapter is not chapters.short:
            assert f"{chapter.__name__.rpartition('.')[2]}." in source


def test_no_line_ends_between_a_figure_and_its_percent_sign(source: str) -> None:
    assert not re.search(r"\d %", source)


def test_prose_holds_no_result_and_announces_no_figure(source: str) -> None:
    """A number typed by hand would stay when the runs change."""
    prose = re.sub("^#.*", "", CELL.sub("", INLINE.sub("", source)), flags=re.MULTILINE)
    assert not re.findall(r"\d+(?:\.\d+)? ?%", prose)
    assert not re.findall(r"\b(?:higher|lower|faster|slower|better|worse|wins|best)\b", prose)
    assert not re.findall(r"@(?:fig|tbl)-", prose)
