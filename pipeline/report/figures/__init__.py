"""Every figure of the report: a Study goes in, a matplotlib Figure comes out; no file is read."""

from pipeline.report.figures.confidence import calibration, coverage
from pipeline.report.figures.confusion import confusion
from pipeline.report.figures.cost import pareto
from pipeline.report.figures.data import augmented, balance, samples
from pipeline.report.figures.errors import all_miss, label_errors, mistakes
from pipeline.report.figures.learning import curves
from pipeline.report.figures.scores import accuracy, per_class, three_ways

__all__ = [
    "accuracy",
    "all_miss",
    "augmented",
    "balance",
    "calibration",
    "confusion",
    "coverage",
    "curves",
    "label_errors",
    "mistakes",
    "pareto",
    "per_class",
    "samples",
    "three_ways",
]
