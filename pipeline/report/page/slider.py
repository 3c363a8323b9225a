"""The threshold slider: what remains, and how much of it is right, as the confidence asked for rises."""

from IPython.display import Markdown

from pipeline.report.look.markup import raw
from pipeline.report.look.theme import short
from pipeline.report.model import Model
from pipeline.report.page.templates import filled
from pipeline.report.study import Study


def thresholds(study: Study) -> Markdown:
    """Return the slider as HTML, hidden without JavaScript: the figure of coverage says the same."""
    if not study.models:
        return raw()
    start = round(100 * (study.best or study.models[0]).unsure_below.confidence)
    names = [short(model.label, 60) for model in study.models]
    return filled("slider", start=start, names=names, curves=[_curve(model) for model in study.models])


def _curve(model: Model) -> dict[str, list[float | None]]:
    curve = model.coverage
    right = [
        round(float(a), 6) if c > 0 else None for a, c in zip(curve.accuracy, curve.coverage, strict=True)
    ]
    return {"coverage": [round(float(share), 6) for share in curve.coverage], "accuracy": right}
