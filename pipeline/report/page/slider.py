"""The threshold slider: what remains, and how much of it is right, as the confidence asked for rises."""

import json

from IPython.display import Markdown

from pipeline.report.look.theme import short
from pipeline.report.model import Model
from pipeline.report.page.markup import raw, text
from pipeline.report.study import Study

START = 90  # percent


def thresholds(study: Study) -> Markdown:
    """Return the slider as HTML, hidden without JavaScript: the figure of coverage says the same."""
    if not study.models:
        return raw()
    rows = "".join(
        f'<tr><th scope="row">{text(short(group.label, 60))}</th><td></td><td></td></tr>'
        for group in study.models
    )
    head = "".join(f'<th scope="col">{words}</th>' for words in ("Model", "Answered", "Of these right"))
    return raw(
        '<section class="widget threshold" aria-label="Confidence threshold" hidden>\n'
        '<label for="threshold">Answer only where the confidence is at least <output></output></label>\n'
        f'<input id="threshold" type="range" min="0" max="100" step="1" value="{START}">\n'
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>\n'
        f'<script type="application/json">{json.dumps([_curve(group) for group in study.models])}</script>\n'
        "</section>"
    )


def _curve(group: Model) -> dict[str, list[float | None]]:
    curve = group.coverage
    right = [
        round(float(a), 6) if c > 0 else None for a, c in zip(curve.accuracy, curve.coverage, strict=True)
    ]
    return {"coverage": [round(float(share), 6) for share in curve.coverage], "accuracy": right}
