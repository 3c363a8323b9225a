"""What copies on both sides of a split do to accuracy, and whether the interval over groups holds the truth.

``python -m bench.groups [STUDIES]`` prints it: ``GROUPS`` of scikit-learn's handwritten digits, each as ten
copies that are shifted and noisy, split by the product with and without ``group``; a nearest neighbour
answers. The truth is what the same classifier gets right of copies of all other digits.
"""

import sys
from dataclasses import dataclass

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

from pipeline.experiment import RunSettings
from pipeline.learn.data.contents import Contents, Part
from pipeline.learn.data.split import split
from pipeline.report.evidence.interval import accuracy

GROUPS, COPIES = 200, 10
NOISE = 3.0  # of 16 grey levels
STUDIES = 200


@dataclass(frozen=True)
class Study:
    """Accuracies, as fractions, and whether the intervals of the test images held the truth."""

    truth: float
    measured: float
    held_by_groups: bool
    held_by_images: bool


def study(seed: int, grouped: bool) -> Study:
    """Split one draw of digits and their copies, learn from train, answer test and the other digits."""
    random = np.random.default_rng(seed)
    digits, labels = load_digits(return_X_y=True)
    chosen = random.permutation(len(digits))
    mine, others = chosen[:GROUPS], chosen[GROUPS:]
    images, targets = _copies(digits[mine], random), np.repeat(labels[mine], COPIES)
    names = [str(group) for group in np.repeat(np.arange(GROUPS), COPIES)]

    part = Part(targets, lambda i: _picture(images[i]), groups=names if grouped else ())
    contents = Contents("digits", "digits", "digits", [str(k) for k in range(10)], {"train": part})
    settings = RunSettings(split_seed=seed, group="digit" if grouped else None)
    splits = split(contents, settings)
    train, test = splits.train.positions, splits.test.positions

    network = KNeighborsClassifier(1).fit(images[train], targets[train])
    right = network.predict(images[test]) == targets[test]
    elsewhere = network.predict(_copies(digits[others], random)) == np.repeat(labels[others], COPIES)
    by_groups = accuracy(right[None], np.asarray(names)[test])
    by_images = accuracy(right[None])
    truth = float(elsewhere.mean())
    return Study(
        truth,
        by_groups.value,
        by_groups.low <= truth <= by_groups.high,
        by_images.low <= truth <= by_images.high,
    )


def _copies(digits: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return ``COPIES`` of each 8 × 8 digit, one after the other, shifted by at most a pixel, with noise."""
    squares = np.repeat(digits.reshape(-1, 8, 8), COPIES, axis=0)
    shifts = random.integers(-1, 2, (len(squares), 2))
    moved = np.stack([np.roll(one, shift, (0, 1)) for one, shift in zip(squares, shifts, strict=True)])
    return (moved + random.normal(0, NOISE, moved.shape)).reshape(len(moved), -1)


def _picture(digit: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(16 * digit.reshape(8, 8), 0, 255).astype(np.uint8))


def main() -> None:
    """Print both ways of splitting, in percent."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else STUDIES
    print("| split | measured | truth | truth within the interval over groups | over images |")
    print("|---|---:|---:|---:|---:|")
    for grouped in (False, True):
        found = [study(seed, grouped) for seed in range(count)]
        shares = [
            100 * np.mean([getattr(one, name) for one in found])
            for name in ("measured", "truth", "held_by_groups", "held_by_images")
        ]
        name = "by group" if grouped else "image by image"
        print(f"| {name} | " + " | ".join(f"{share:.1f}" for share in shares) + " |")


if __name__ == "__main__":
    main()
