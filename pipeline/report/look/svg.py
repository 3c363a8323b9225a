"""Figures as SVG that serves white paper and dark screens alike."""

import io
import re
from functools import lru_cache
from html import escape, unescape

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from pipeline import fonts
from pipeline.report.look import theme

TEXT = re.compile(r"<text( [^>]*)>([^<]*)</text>")
# Typst, which makes the PDF, does not read rules for media: there the attribute holds.
ON_SCREEN = "@media all{.own{display:inline}.paper{display:none}}"
MOST_SPELLED = 22  # characters that stand in a name's place on paper


def write(drawing: Figure) -> str:
    """Return a figure as SVG, for white paper and dark screens.

    Text becomes outlines, equal everywhere. Where no font of this machine can draw a character (as of
    Japanese class names), text stays text: the page shows it by the reader's own fonts, the PDF writes
    that character's number.
    """
    texts = drawing.findobj(Text)
    words = "".join(text.get_text() for text in texts)
    family, lost = fonts.families(words), fonts.undrawn(words)
    for text in texts:
        text.set_fontfamily(family)
    buffer = io.StringIO()
    with theme.themed(), mpl.rc_context({"svg.fonttype": "none" if lost else "path"}):
        drawing.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    content = buffer.getvalue()
    start = content.index("<svg")
    body = content.index(">", start) + 1
    style = f"<style>{_dark_style()}{ON_SCREEN if lost else ''}</style>"
    return content[start:body] + style + (_twice(content[body:], lost) if lost else content[body:])


@lru_cache(maxsize=1)
def _dark_style() -> str:
    rules = "".join(
        f'[style*="{kind}: {tone.light}"]{{{kind}:{tone.dark}!important}}'
        for tone in dict.fromkeys(theme.TONES)
        for kind in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme: dark){{{rules}}}"


def _twice(body: str, lost: set[str]) -> str:
    """Return SVG in which words with lost characters stand as they are for screens, and spelled for paper."""

    def both(found: re.Match[str]) -> str:
        attributes, words = found.groups()
        if not lost & set(unescape(words)):
            return found[0]
        spelled = escape(theme.short(fonts.spelled(unescape(words), lost), MOST_SPELLED))
        own = f'<text class="own" display="none"{attributes}>{words}</text>'
        return f'{own}<text class="paper"{attributes}>{spelled}</text>'

    return TEXT.sub(both, body)
