"""report.qmd as it is written: thin cells, captions, and nothing shown before it is named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from pipeline.report import chapters
from pipeline.report.study import Study
from tests.made_records import KINDS
from tests.report.conftest import StudyOf

CELL = re.compile(r"^```\{python\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`\{python\} ([^`]+)`")
WORDS_IN_CELLS = ("answer.stated(study)", "tradeoffs.two_sides(study)")


@dataclass(frozen=True)
class Cell:
    options: dict[str, object]
    lines: list[str]
    start: int

    @property
    def label(self) -> str:
        return str(self.options.get("label", ""))


def cells(source: str) -> list[Cell]:
    found = []
    for match in CELL.finditer(source):
        lines = match[1].splitlines()
        options = yaml.safe_load("\n".join(line[2:] for line in lines if line.startswith("#|"))) or {}
        code = [line for line in lines if not line.startswith("#|")]
        found.append(Cell(options, code, match.start()))
    return found


def floats(source: str) -> Iterator[Cell]:
    return (cell for cell in cells(source) if cell.label.startswith(("fig-", "tbl-")))


def test_every_cell_but_the_setup_is_one_to_three_lines(source: str) -> None:
    for cell in cells(source):
        if cell.label != "setup":
            assert 1 <= len(cell.lines) <= 3


def test_setup_is_hidden(source: str) -> None:
    setup = next(cell for cell in cells(source) if cell.label == "setup")
    assert setup.options["include"] is False


def test_every_float_has_a_caption_and_every_figure_an_alternative(source: str) -> None:
    for cell in floats(source):
        kind = cell.label[:3]
        assert len(str(cell.options[f"{kind}-cap"])) > 15, cell.label
        if kind == "fig":
            assert len(str(cell.options["fig-alt"])) > 30, cell.label


def test_alternatives_say_something_else_than_captions(source: str) -> None:
    for cell in (cell for cell in floats(source) if "fig-alt" in cell.options):
        assert cell.options.get("fig-alt") != cell.options.get("fig-cap")


def test_every_float_is_cited_before_it_appears(source: str) -> None:
    for cell in floats(source):
        cited = re.search(rf"@{cell.label}(?![\w-])", source)
        assert cited, f"{cell.label} is never cited"
        assert cited.start() < cell.start, f"{cell.label} is cited only after it appears"


def test_nothing_is_cited_that_does_not_exist(source: str) -> None:
    labels = {cell.label for cell in floats(source)}
    assert set(re.findall(r"@((?:fig|tbl)-[\w-]*\w)", source)) == labels


def test_what_is_told_stands_in_the_prose_before(source: str, study_of: StudyOf) -> None:
    """A paragraph does not cite what the prose introduces, so the prose must have cited it."""
    study = study_of("one_seed")
    for found in INLINE.finditer(source):
        words = called(found[1], study)
        for label in getattr(words, "told", ()):
            assert f"@{label}" in source[: found.start()], label


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_is_said_once_and_refers_to_what_exists(
    source: str, study_of: StudyOf, kind: str
) -> None:
    study = study_of(kind)
    labels = {cell.label for cell in floats(source)}
    cells_of_words = [cell.lines[-1] for cell in cells(source) if cell.lines[-1] in WORDS_IN_CELLS]
    shown = [called(code, study)._repr_markdown_() for code in [*INLINE.findall(source), *cells_of_words]]
    said = " ".join(shown).replace("**", "")
    for sentences in chapters.verdict(study).values():
        for sentence in sentences:
            assert set(sentence.references) <= labels
            words = sentence.without(sentence.references).removesuffix(".")
            assert said.count(words) == 1, sentence.rule


def called(code: str, study: Study) -> Any:
    return eval(code, vars(chapters) | {"study": study})


def test_every_chapter_is_shown(source: str) -> None:
    for chapter in chapters.CHAPTERS:
        assert f"{chapter.__name__.rpartition('.')[2]}." in source


def test_no_line_ends_between_a_figure_and_its_percent_sign(source: str) -> None:
    assert not re.search(r"\d %", source)


def test_prose_holds_no_result(source: str) -> None:
    """A number typed by hand would stay when the runs change."""
    prose = CELL.sub("", INLINE.sub("", source))
    assert not re.findall(r"\d+(?:\.\d+)? ?%", prose)
    assert not re.findall(r"\b(?:higher|lower|faster|slower|better|worse|wins|best)\b", prose)
