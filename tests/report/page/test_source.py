"""report.qmd as it is written: thin cells, captions, and nothing shown before it is named."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import yaml

from pipeline.report import page
from pipeline.report.verdict import answer, verdict
from tests.made_records import KINDS
from tests.report.conftest import StudyOf

CELL = re.compile(r"^```\{python\}\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`\{python\} ([^`]+)`")


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


def test_references_called_named_stand_in_the_same_paragraph(source: str) -> None:
    for paragraph in source.split("\n\n"):
        for named in re.findall(r'named="([^"]*)"', paragraph):
            for label in named.split():
                assert f"@{label}" in paragraph or f"@{label}" in source[: source.index(paragraph)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_is_said_once_and_refers_to_what_exists(
    source: str, study_of: StudyOf, kind: str
) -> None:
    study = study_of(kind)
    say = page.Speech(study)
    labels = {cell.label for cell in floats(source)}
    spoken = [line for cell in cells(source) for line in cell.lines if line.startswith("say.")]
    code = [*INLINE.findall(source), *spoken]
    said = " ".join(eval(one, {"say": say}).data for one in code).replace("**", "")
    for section, sentences in verdict(study).items():
        for sentence in sentences:
            assert set(sentence.references) <= labels
            words = sentence.cited(()).removesuffix(".")
            assert said.count(words) == (0 if section == "recommendations" else 1), sentence.rule
    assert all(set(sentence.references) <= labels for sentence in answer(study))


def test_no_line_ends_between_a_figure_and_its_percent_sign(source: str) -> None:
    assert not re.search(r"\d %", source)


def test_prose_holds_no_result(source: str) -> None:
    """A number typed by hand would stay when the runs change."""
    prose = CELL.sub("", INLINE.sub("", source))
    assert not re.findall(r"\d+(?:\.\d+)? ?%", prose)
    assert not re.findall(r"\b(?:higher|lower|faster|slower|better|worse|wins|best)\b", prose)
