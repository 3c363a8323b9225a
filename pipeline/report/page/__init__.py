"""What only the page or only the PDF has: cover, explorer, slider, downloads, footer."""

from pipeline.report.page.explorer import explorer
from pipeline.report.page.frame import cover, engine_name, footer, notebooks
from pipeline.report.page.slider import thresholds
from pipeline.report.page.speech import Speech
from pipeline.report.page.speech import stated as answer

__all__ = [
    "Speech",
    "answer",
    "cover",
    "engine_name",
    "explorer",
    "footer",
    "notebooks",
    "thresholds",
]
