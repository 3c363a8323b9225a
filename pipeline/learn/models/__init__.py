"""Networks by name, from scratch or pretrained; ``custom_cnn`` is the one to read first."""

from pipeline.learn.models.zoo import build, check, describe, known_models, preprocessing, weights_hash

__all__ = ["build", "check", "describe", "known_models", "preprocessing", "weights_hash"]
