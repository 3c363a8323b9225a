"""What patience costs where the learning rate falls to zero at the end: ``python -m bench.patience``.

``one_cycle`` improves a network most in its last epochs; counted from the first epoch on, patience ends
runs before them. Each run here trains to its end, and what it would have kept with patience is read
from its own epochs. On 3,000 training and 1,000 test images of CIFAR-10 as JPEG.
"""

import tempfile
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench import ours
from bench.images import SOME, some_of_them
from pipeline.experiment import RunSettings
from pipeline.learn import evaluate, train
from pipeline.learn.stages import Stage

PATIENCES, SEEDS = (None, 5, 3), (0, 1, 2)
RECIPE: dict[str, object] = {  # of params/cifar10-jpeg.yaml, half as wide
    "dataset": "image_folder", "val_fraction": 0.2, "augmentation": ["crop", "flip"],
    "model": "custom_cnn", "widths": [32, 64, 128], "epochs": 20,
    "optimizer": "sgd", "learning_rate": 0.6, "momentum": 0.85, "label_smoothing": 0.2,
}  # fmt: skip
stop_reason = train._stop_reason

Epochs = list[tuple[float, float]]  # val loss and test accuracy after each


def epochs(settings: RunSettings, folder: Path) -> Epochs:
    """Train to the end and return the val loss and the test accuracy after each epoch."""
    found: Epochs = []
    loaded = ours.load(settings.model_copy(update={"seed": 0}).model_dump_json())

    def looking(stage: Stage) -> str | None:
        if stage.history.epoch > len(found):
            answers = evaluate.predict(stage.evaluated, loaded.images, settings, loaded.hardware)["test"]
            found.append((stage.history.rows[-1]["val_loss"], float(answers.correct.mean())))
        return stop_reason(stage)

    with patch.object(train, "_stop_reason", looking):
        loaded.fit(folder, settings)
    return found


def kept(run: Epochs, patience: int | None) -> tuple[int, float]:
    """Return how many epochs patience allows, and the test accuracy at the lowest val loss of these."""
    best = 0
    for epoch, (loss, _) in enumerate(run):
        if patience is not None and epoch - best > patience:
            return epoch, run[best][1]
        best = epoch if loss < run[best][0] else best
    return len(run), run[best][1]


def main() -> None:
    """Print a line for each patience."""
    with tempfile.TemporaryDirectory() as folder:
        images = some_of_them(Path(folder) / "images", SOME)
        settings = RunSettings.model_validate({**RECIPE, "data_dir": str(images)})
        runs = [
            epochs(settings.model_copy(update={"seed": seed}), Path(folder) / f"run-{seed}") for seed in SEEDS
        ]
    for patience in PATIENCES:
        stops, accuracies = zip(*(kept(run, patience) for run in runs), strict=True)
        scores = ", ".join(f"{100 * accuracy:.1f}" for accuracy in accuracies)
        mean = 100 * np.mean(accuracies)
        print(
            f"| {patience or 'none'} | {', '.join(map(str, stops))} | {mean:.1f} % ({scores}) |", flush=True
        )


if __name__ == "__main__":
    main()
