"""Small drawings that stand within words and tables: a model's letter, a score with its interval.

Each is one SVG for page and paper: its ``currentColor`` is the model's colour there, light or dark.
"""

from pipeline.report.evidence.interval import Interval
from pipeline.report.look.markup import text, typst_picture, typst_string
from pipeline.report.look.table import Drawn
from pipeline.report.look.theme import MODEL_TONES, model_styles, short, tone_of
from pipeline.report.look.theme import letters as letters_of
from pipeline.report.model import Model
from pipeline.report.study import Study

WIDTH, HEIGHT = 120, 20
SHAPES = {
    "o": '<circle cx="{x}" cy="{y}" r="5.5"/>',
    "s": '<path d="M{x} {y}m-5-5h10v10h-10z"/>',
    "^": '<path d="M{x} {y}m0-6.5l6.2 11.5h-12.4z"/>',
    "D": '<path d="M{x} {y}m0-7l7 7-7 7-7-7z"/>',
    "v": '<path d="M{x} {y}m0 6.5l6.2-11.5h-12.4z"/>',
    "P": '<path d="M{x} {y}m-2.4-6.5h4.8v4.1h4.1v4.8h-4.1v4.1h-4.8v-4.1h-4.1v-4.8h4.1z"/>',
    "X": '<path d="M{x} {y}m-5-5l10 10m0-10l-10 10" stroke="currentColor" stroke-width="3.6"/>',
}


def chip(study: Study, model: Model, named: bool = False, more: str = "") -> Drawn:
    """Return a model's letter in its colour, and if ``named`` its name and ``more`` behind it."""
    letter, tone = letters_of(study)[model.key], tone_of(study, model)
    words = f"{short(model.label, 48)}{more}" if named else ""
    called = f' <span class="called">{text(words)}</span>' if named else ""
    page = f'<b class="chip" style="--tone:var(--m{tone})">{letter}</b>{called}'
    paper = f"#chip({typst_string(letter)}, rgb({typst_string(MODEL_TONES[tone].light)}))"
    return Drawn(page, f"{paper} #{typst_string(words)}" if named else paper, f"{letter} {words}".strip())


def interval(study: Study, model: Model, score: Interval, low: float, high: float) -> Drawn:
    """Return a dot with its interval, on a scale from ``low`` to ``high``."""

    def place(value: float) -> float:
        return round(8 + (WIDTH - 16) * (value - low) / max(high - low, 1e-9), 1)

    y, style, tone = HEIGHT / 2, model_styles(study)[model.key], tone_of(study, model)
    line = f'<path d="M{place(score.low)} {y}H{place(score.high)}" stroke="currentColor" stroke-width="3"/>'
    axis = f'<path d="M4 {y}H{WIDTH - 4}" stroke="currentColor" opacity=".25" stroke-dasharray="1 5"/>'
    dot = SHAPES[style.marker].format(x=place(score.value), y=y)
    box = f'viewBox="0 0 {WIDTH} {HEIGHT}" fill="currentColor"'
    words = f"{100 * score.low:.1f} to {100 * score.high:.1f} %"
    page = f'<svg class="dots" style="--tone:var(--m{tone})" {box} aria-hidden="true">{axis}{line}{dot}</svg>'
    sized = f'{box} width="{WIDTH}" height="{HEIGHT}"'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" {sized}>{axis}{line}{dot}</svg>'
    colored = svg.replace("currentColor", MODEL_TONES[tone].light)
    return Drawn(page, f"#box({typst_picture(colored, words, '3cm')})", words)
