"""Every table of the report: a Study goes in, a Markdown table comes out; no file is read."""

from pipeline.report.tables.evidence import calibration, cost, duplicates, label_errors
from pipeline.report.tables.overview import headline, layers, models, runs
from pipeline.report.tables.results import confused, f1_per_class, learning, per_class, tests
from pipeline.report.tables.together import agreement, all_miss
from pipeline.report.tables.tradeoffs import recommendations, tradeoffs

__all__ = [
    "agreement",
    "all_miss",
    "calibration",
    "confused",
    "cost",
    "duplicates",
    "f1_per_class",
    "headline",
    "label_errors",
    "layers",
    "learning",
    "models",
    "per_class",
    "recommendations",
    "runs",
    "tests",
    "tradeoffs",
]
