"""Model: one entry of ``models`` over its seeds, with the evidence about it alone.

How seeds combine, everywhere in the report: scores are means over seeds; what concerns single images
(tests, confusion matrix, calibration, mistakes, curves) is of the chosen seed, the best on val.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from pipeline import confidence
from pipeline.confidence import Coverage, UnsureBelow
from pipeline.experiment import RunSettings, own_network
from pipeline.record import ModelInfo, RunRecord, SplitPredictions
from pipeline.report import names
from pipeline.report.evidence import calibration, costs, errors, interval, learning, scores
from pipeline.report.evidence.calibration import Calibration, Meaning
from pipeline.report.evidence.costs import Cost
from pipeline.report.evidence.errors import Mistake, WithoutDuplicates
from pipeline.report.evidence.interval import Score
from pipeline.report.evidence.learning import Learning
from pipeline.report.evidence.score_interval import f1_macro_interval
from pipeline.report.evidence.scores import ConfusedPair, Metrics


@dataclass(frozen=True, eq=False)
class Model:
    """One entry of ``models``: its whole runs, one per seed.

    ``label`` is unique in the study and for tables and figures, ``spoken`` is the same for sentences,
    ``key`` is unique and fit for ids and file names.
    """

    label: str
    spoken: str
    key: str
    records: list[RunRecord]
    same_network: Sequence[RunRecord] = ()  # runs of other models whose network answers as fast

    @property
    def name(self) -> str:
        """The network, as in params: custom_cnn, resnet18, ..."""
        return self.records[0].settings.model

    @property
    def network_name(self) -> str:
        """The network as prose calls it: EfficientNet-Lite0, ..."""
        return names.network(self.name)

    @property
    def mode(self) -> str:
        """scratch, linear_probe or fine_tune."""
        return self.records[0].settings.mode

    @property
    def pretrained(self) -> bool:
        return self.records[0].settings.pretrained

    @property
    def is_custom(self) -> bool:
        return self.name == "custom_cnn"

    @property
    def normalised_by_data(self) -> bool:
        """Whether images are normalised by the training images' statistics, not as weights ask for."""
        return self.is_custom or own_network(self.name)

    @property
    def seeds(self) -> list[int]:
        return [record.settings.seed for record in self.records]

    @property
    def train_images(self) -> int | None:
        """How many images it learned from; None where its runs did not record it."""
        dataset = self.chosen.details.dataset
        return dataset.split_sizes.get("train") if dataset else None

    @cached_property
    def val(self) -> list[SplitPredictions]:
        """The val predictions, one per seed."""
        return [record.split("val") for record in self.records]

    @cached_property
    def test(self) -> list[SplitPredictions]:
        """The test predictions, one per seed, all on the same images."""
        return [record.split("test") for record in self.records]

    @cached_property
    def val_metrics_per_seed(self) -> list[Metrics]:
        """The scores on val of each seed."""
        return [scores.metrics(split) for split in self.val]

    @cached_property
    def metrics_per_seed(self) -> list[Metrics]:
        """The scores on test of each seed."""
        return [scores.metrics(split) for split in self.test]

    @cached_property
    def val_accuracies(self) -> np.ndarray:
        """Val accuracy of each seed, fractions [seeds]."""
        return np.array([metrics.accuracy for metrics in self.val_metrics_per_seed])

    @cached_property
    def test_accuracies(self) -> np.ndarray:
        """Test accuracy of each seed, fractions [seeds]."""
        return np.array([metrics.accuracy for metrics in self.metrics_per_seed])

    @property
    def val_accuracy(self) -> float:
        """Mean over seeds: what models are chosen by."""
        return float(self.val_accuracies.mean())

    @property
    def test_accuracy(self) -> float:
        """Mean over seeds: the headline figure."""
        return float(self.test_accuracies.mean())

    @cached_property
    def chosen_position(self) -> int:
        """Which of the seeds has the best val accuracy; the first of several equal ones."""
        return int(self.val_accuracies.argmax())

    @property
    def chosen(self) -> RunRecord:
        """The run of the seed with the best val accuracy: the model that one would deploy."""
        return self.records[self.chosen_position]

    @property
    def chosen_test(self) -> SplitPredictions:
        return self.test[self.chosen_position]

    @property
    def chosen_val(self) -> SplitPredictions:
        return self.val[self.chosen_position]

    @property
    def settings(self) -> RunSettings:
        return self.chosen.settings

    @property
    def network(self) -> ModelInfo | None:
        """Size and shape of the network; None when the run did not record it."""
        return self.chosen.details.model

    @cached_property
    def test_table(self) -> pd.DataFrame | None:
        """What was measured of each test image, in the order of the predictions; None of older runs."""
        images = self.chosen.images
        if images is None:
            return None
        return images[images["split"] == "test"].set_index("index", drop=False).loc[self.chosen_test.index]

    @cached_property
    def groups(self) -> np.ndarray | None:
        """Which test images belong together, int [images]; None where each stands for itself."""
        if self.settings.group is None or self.test_table is None:
            return None
        return np.unique(self.test_table["group"].to_numpy(str), return_inverse=True)[1]

    @cached_property
    def correct(self) -> np.ndarray:
        """Which test images each seed got right, bool [seeds, images]."""
        return np.stack([split.correct for split in self.test])

    @cached_property
    def mean_correct(self) -> np.ndarray:
        """The share of seeds that got each test image right, float32 [images]."""
        return self.correct.mean(axis=0, dtype=np.float32)

    @property
    def metrics(self) -> Metrics:
        """The scores on test of the chosen seed: per-class values and the confusion matrix."""
        return self.metrics_per_seed[self.chosen_position]

    def mean(self, score: str) -> float:
        """Return the mean over seeds of one score on test, as ``precision_macro``: for the headline."""
        return float(np.mean([getattr(metrics, score) for metrics in self.metrics_per_seed]))

    @cached_property
    def accuracy(self) -> Score:
        return interval.accuracy(self.correct, self.groups)

    @cached_property
    def f1_macro(self) -> Score:
        per_seed = tuple(metrics.f1_macro for metrics in self.metrics_per_seed)
        split, predicted = self.chosen_test, np.stack([one.predicted for one in self.test])
        low, high = f1_macro_interval(split.target, predicted, split.probability.shape[1], self.groups)
        return Score(float(np.mean(per_seed)), low, high, "delta", len(split.target), per_seed)

    @cached_property
    def calibration(self) -> Calibration:
        return calibration.calibrate(self.chosen_val, self.chosen_test)

    @cached_property
    def coverage(self) -> Coverage:
        """What remains on test above each confidence, with the temperature."""
        return confidence.coverage(confidence.scale(self.chosen_test, self.calibration.temperature))

    @cached_property
    def unsure_below(self) -> UnsureBelow:
        return confidence.unsure_below(self.chosen_val)

    def meaning(self, about: float = 0.9) -> Meaning | None:
        """Return how often predictions of about this confidence are right; None without any."""
        return calibration.meaning(self.chosen_test, about)

    @cached_property
    def learning(self) -> Learning | None:
        return learning.learning(self.chosen)

    @cached_property
    def cost(self) -> Cost | None:
        return costs.cost(self.records, self.chosen, self.same_network)

    def most_confused(self, count: int = 10) -> list[ConfusedPair]:
        return scores.most_confused(self.metrics.confusion_matrix, count)

    def confident_mistakes(self, count: int = 10) -> list[Mistake]:
        return errors.confident_mistakes(self.chosen_test, count)

    @cached_property
    def without_duplicates(self) -> WithoutDuplicates | None:
        """Accuracy without near-duplicates of training images; None when none were found."""
        dataset = self.chosen.details.dataset
        return errors.without_duplicates(self.test, dataset.near_duplicates) if dataset else None


def best(models: Sequence[Model]) -> Model | None:
    """Return the model with the highest mean val accuracy, the first of equals; None of none."""
    return max(models, key=lambda model: model.val_accuracy, default=None)
