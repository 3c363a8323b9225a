"""What only the page or only the PDF has: cover, first screen, explorer, slider, downloads, footer."""

from pipeline.report.page import handout
from pipeline.report.page.explorer import explorer
from pipeline.report.page.frame import cover, footer, notebooks
from pipeline.report.page.slider import thresholds
from pipeline.report.render import engine_name

__all__ = ["cover", "engine_name", "explorer", "footer", "handout", "notebooks", "thresholds"]
