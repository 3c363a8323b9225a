"""Names in any script are drawn by the fonts that this machine has, or what none draws is told."""

import pytest

from pipeline import fonts


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two fonts for Chinese, one of them with more, and one for Thai."""
    own = [("A", frozenset("止")), ("B", frozenset("止血")), ("C", frozenset("กข"))]
    monkeypatch.setattr(fonts, "_others", lambda: own)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("text", "families", "lost"),
    [
        ("plain é ł Ж → שלום", ["DejaVu Sans"], ""),
        ("止", ["DejaVu Sans", "A"], ""),
        ("止血", ["DejaVu Sans", "B"], ""),
        ("ก止血钳", ["DejaVu Sans", "B", "C"], "钳"),
        ("x\u200d\ufe0f\u2068\n", ["DejaVu Sans"], ""),  # nothing of these is to be seen
    ],
)
def test_the_fewest_fonts_that_draw_a_text_are_taken(text: str, families: list[str], lost: str) -> None:
    assert fonts.families(text) == families
    assert fonts.undrawn(text) == set(lost)


def test_lost_characters_are_spelled_by_name_or_number() -> None:
    assert fonts.spelled("a🦊止血 b", set("🦊止血")) == "a[fox face U+6B62 U+8840] b"
