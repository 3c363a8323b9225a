"""Figures as SVG that serves white paper and dark screens alike."""

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from pipeline.report.look import theme


def write(drawing: Figure) -> str:
    """Return a figure as SVG, for white paper and dark screens.

    Text becomes outlines, equal everywhere; only what the figures' font cannot draw (as Japanese
    class names) stays text, for the reader's own fonts.
    """
    buffer = io.StringIO()
    with theme.themed(), mpl.rc_context({"svg.fonttype": "none" if _foreign(drawing) else "path"}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    content = buffer.getvalue()
    start = content.index("<svg")
    body = content.index(">", start) + 1
    return content[start:body] + f"<style>{_dark_style()}</style>" + content[body:]


def install(shell: Any) -> None:
    """Make an IPython shell show every Figure as such SVG, and in no other format."""
    for formatter in shell.display_formatter.formatters.values():
        formatter.pop(Figure, None)
    shell.display_formatter.formatters["image/svg+xml"].for_type(Figure, write)


@lru_cache(maxsize=1)
def _dark_style() -> str:
    rules = "".join(
        f'[style*="{kind}: {tone.light}"]{{{kind}:{tone.dark}!important}}'
        for tone in dict.fromkeys(theme.TONES)
        for kind in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme: dark){{{rules}}}"


def _foreign(drawing: Figure) -> bool:
    texts = {text.get_text() for text in drawing.findobj(Text)}
    return any(ord(c) > 126 and ord(c) not in _drawable() for text in texts for c in text)


@lru_cache(maxsize=1)
def _drawable() -> frozenset[int]:
    path = Path(font_manager.findfont("DejaVu Sans"))
    return frozenset(FT2Font(str(path)).get_charmap())
