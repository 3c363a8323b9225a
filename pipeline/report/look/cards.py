"""Pictures with words below them, set in rows: real text, which wraps, so that long names do not collide."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report.look.markup import text, typst_picture, typst_string
from pipeline.report.look.table import Drawn
from pipeline.report.study import Study

MUTED, BAD = "muted", "bad"


@dataclass(frozen=True)
class Line:
    """Words below a picture, plain, ``MUTED`` or ``BAD``."""

    words: str
    tone: str = ""


@dataclass(frozen=True)
class Card:
    """PNGs side by side (None: not kept), what they are, and lines of words below them."""

    pictures: Sequence[bytes | None]
    alternative: str
    lines: Sequence[Line] = ()


def cards(every: Sequence[Card], columns: int, arrows: bool = False) -> Drawn:
    """Return cards in rows of ``columns`` on paper, and as many as fit on the page."""
    page = "".join(f"<li>{_on_page(card)}</li>" for card in every)
    paper = ",\n".join(f"[{_on_paper(card)}]" for card in every)
    kind = "cards steps" if arrows else "cards"
    return Drawn(
        f'<ul class="{kind}">{page}</ul>',
        f"#cards({columns}, {str(arrows).lower()}, ({paper},))",
        "; ".join(card.alternative for card in every),
    )


def kept_images(study: Study) -> dict[int, bytes]:
    """Return the PNG of every test image that some run kept, by its index."""
    images: dict[int, bytes] = {}
    for record in study.records:
        gallery = record.gallery
        of_test = gallery[gallery["split"] == "test"]
        images.update(zip(of_test["index"], of_test["png"], strict=True))
    return images


def address(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _on_page(card: Card) -> str:
    pictures = "".join(
        f'<img src="{address(png)}" alt="{text(card.alternative)}">' if png else "<i>not kept</i>"
        for png in card.pictures
    )
    lines = "".join(f'<span class="{line.tone}">{text(line.words)}</span>' for line in card.lines)
    return f"<div>{pictures}</div>{lines}"


def _on_paper(card: Card) -> str:
    pictures = "#h(2pt)".join(
        f"#box({typst_picture(_svg(png), card.alternative, 'card-side')})" if png else "#emph[not kept]"
        for png in card.pictures
    )
    lines = "".join(
        f"#card-line({typst_string(line.words)}, {typst_string(line.tone)})" for line in card.lines
    )
    return f"{pictures}{lines}"


def _svg(png: bytes) -> str:
    """Return a PNG within an SVG, which Typst reads from its source, with hard edges between pixels."""
    box = 'width="64" height="64"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}><image href="{address(png)}" {box} '
        'style="image-rendering:pixelated"/></svg>'
    )
