"""Training time to 90 % test accuracy on JPEG CIFAR-10, from all 50,000 training images.

Both sides look at the test images after each epoch, which a study must not do: here it is the
question itself.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import ours, tutorial
from bench.images import cifar10_jpeg
from bench.measuring import Options, Result, Target, apart, in_turn
from pipeline.experiment import Experiment, RunSettings

KEYS = ("time_to_90_vs_tutorial", "epochs_to_90")
GOAL = 0.90
TUTORIAL_EPOCHS = 20
GIVE_UP = 5.0  # the tutorial's loop is stopped after so many times the seconds of ours
PARAMS = Path(__file__).parent.parent / "params" / "cifar10-jpeg-full.yaml"


def recipe() -> RunSettings:
    """Return the shipped recipe, for as many training images as there may be."""
    (shipped,) = Experiment.from_yaml(PARAMS).runs
    return shipped.model_copy(update={"val_fraction": 0.001})


def compare(options: Options) -> Iterator[Result]:
    """Train ours and the tutorial's in turn until they reach the goal."""
    folder = cifar10_jpeg().absolute()
    seeds, limit = iter(range(100)), 0.0

    def race_ours() -> dict[str, Any]:
        nonlocal limit
        found = own(next(seeds), options.folder)
        limit = GIVE_UP * found["seconds"] if found["reached"] else 0.0
        return found

    def race_tutorial() -> dict[str, Any]:
        return plain(folder, limit) if limit else to_goal(iter(()))

    with apart(ours_to_goal) as own, apart(tutorial_to_goal) as plain:
        rounds: list[dict[str, Any]] = []
        for found in in_turn(options.rounds, {"ours": race_ours, "tutorial": race_tutorial}):
            rounds.append(found)
            yield from _results(rounds)  # a round takes long: what there is, is kept


def _results(rounds: list[dict[str, Any]]) -> Iterator[Result]:
    details = {"goal": GOAL, "ours": recipe().model_dump(), "rounds": list(rounds)}
    yield Result(
        "time_to_90_vs_tutorial",
        "training seconds of the tutorial-style loop to 90 % test accuracy / those of ours, same net; "
        f"a loop that has not got there after {TUTORIAL_EPOCHS} epochs, or {GIVE_UP:g} times the seconds "
        "of ours, counts with what it had; a round that ours misses counts as 0",
        "whole training epochs up to the first with that accuracy; test passes are not counted",
        Target("at least", 5),
        [r["tutorial"]["seconds"] / r["ours"]["seconds"] for r in rounds],
        details=details,
    )
    yield Result(
        "epochs_to_90",
        "epochs that ours takes to 90 % test accuracy; one more than it has where it misses that",
        "not a time",
        Target("at most", 10),
        [float(r["ours"]["epochs"] + (not r["ours"]["reached"])) for r in rounds],
        unit="epochs",
        details=details,
    )


def ours_to_goal(seed: int, folder: Path) -> dict[str, Any]:
    """Train on all training images, with the test images in the place of val."""
    settings = recipe().model_copy(update={"seed": seed})
    loaded = ours.load(recipe().model_dump_json())
    given = loaded.images
    train = replace(
        given.train,
        pixels=torch.cat([given.train.pixels, given.val.pixels]),
        targets=torch.cat([given.train.targets, given.val.targets]),
        index=np.arange(len(given.train) + len(given.val)),
    )
    everything = replace(given, train=train, val=given.test)
    _, fitted = replace(loaded, images=everything).fit(folder / f"to-90-{seed}", settings)
    history = fitted.history
    seconds = len(train) / history["images_per_second"]
    return to_goal(zip(seconds, history["val_accuracy"], strict=True))


def tutorial_to_goal(folder: Path, limit: float) -> dict[str, Any]:
    """Train as the tutorials do until the goal is reached, or for about ``limit`` seconds."""
    return to_goal(tutorial.epochs(recipe(), folder, TUTORIAL_EPOCHS), limit)


def to_goal(epochs: Iterator[tuple[float, float]], limit: float = math.inf) -> dict[str, Any]:
    """Return the seconds and epochs until the goal, from each epoch's seconds and accuracy.

    A side that misses it counts with all its epochs, up to the first that ends after ``limit`` seconds.
    """
    total, accuracies = 0.0, []
    for seconds, accuracy in epochs:
        total += float(seconds)
        accuracies.append(float(accuracy))
        print(f"    epoch {len(accuracies)}: {accuracy:.2%}, {total:,.0f} s", file=sys.stderr, flush=True)
        if accuracy >= GOAL or total > limit:
            break
    reached = bool(accuracies) and accuracies[-1] >= GOAL
    return {"seconds": total, "epochs": len(accuracies), "reached": reached, "accuracies": accuracies}
