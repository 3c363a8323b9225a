"""What no font of the PDF has is spelled there; an accessible PDF could not be written otherwise."""

import pytest
import typst

from pipeline.fonts import undrawn
from pipeline.report.page import unprintable
from tests.report.conftest import StudyOf
from tests.report.paper import words_of

FIRST, SECOND = "\U00012000\U00012040"  # cuneiform
pytestmark = pytest.mark.skipif(not undrawn(FIRST), reason="needs a machine without a font for cuneiform")


def test_characters_without_a_glyph_are_found_all_at_once() -> None:
    assert unprintable.unprintable(f"cat é ł Ж שלום → {FIRST} x{SECOND}") == {FIRST, SECOND}


def test_of_common_characters_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(typst, "compile")
    assert unprintable.unprintable("naïve “quotes” – … × ≥ 10 µm, Łódź") == set()


def test_an_accessible_pdf_spells_them_everywhere(study_of: StudyOf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unprintable, "_names", lambda study: f"a{FIRST}{SECOND}")
    rules = unprintable.rules(study_of("one_model"))
    text = f"= One {FIRST}{SECOND} two\n#table([{FIRST}x])\n#unprintable"
    source = f'#set document(title: "x")\n{rules}\n{text}'
    pdf = typst.compile(source.encode(), pdf_standards=["ua-1"])
    words = words_of(pdf)
    assert words == f"One [U+12000 U+12040] two [U+12000]x {unprintable.NOTE}"


def test_a_study_of_usual_names_has_no_rules(study_of: StudyOf) -> None:
    assert unprintable.rules(study_of("one_seed")) == ""
