"""What comes after the report: one whole run is read, and its network put to use."""

from pipeline.inference.predictor import Predictor

__all__ = ["Predictor"]
