"""Studies of random shape in memory: few and many models, seeds, images and classes, equal or not, failed."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.experiment import Experiment, RunSettings
from pipeline.record import (
    GALLERY_COLUMNS,
    STAGE_COLUMNS,
    DatasetInfo,
    Failure,
    RunDetails,
    RunRecord,
    SplitPredictions,
)
from pipeline.report.study import Study
from tests.made_values import SIZES, Made, environment, made_history, model_info, timings

MODELS: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("custom_cnn", "scratch", {}),
    ("custom_cnn", "scratch", {"class_weights": "balanced"}),
    ("resnet18", "scratch", {"schedule": "constant", "patience": 4}),
    ("resnet18", "linear_probe", {}),
    ("resnet18", "fine_tune", {"epochs": 30}),
    ("efficientnet_lite0", "scratch", {"image_size": 64}),
    ("efficientnet_lite0", "linear_probe", {"feature_views": 4, "augmentation": ["flip"]}),
    ("vgg16", "fine_tune", {"head_epochs": 0}),
)
LEARNING = ("healthy", "overfit", "underfit", "unfinished", "stopped")


def random_study(seed: int) -> Study:
    """Draw a study: images of unlike difficulty, models of equal or unlike skill, trainings that vary."""
    random = np.random.default_rng(seed)
    k, (val, test) = (
        int(random.choice([2, 3, 10, 30])),
        np.exp(random.uniform(np.log(10), [6, 7])).astype(int),
    )
    share = np.geomspace(random.choice([1, 1, 20]), 1, k)
    sizes = {"train": 8 * k, "val": int(val), "test": int(test)}
    targets = {split: random.choice(k, n, p=share / share.sum()) for split, n in sizes.items()}
    difficulty = {split: random.standard_normal(n) for split, n in sizes.items()}
    base, equal = random.choice([-4.0, 0.0, 1.0, 3.0]), random.random() < 0.4
    data = DatasetInfo(
        name="drawn",
        fingerprint="0" * 64,
        split_sizes=sizes,
        class_counts={split: np.bincount(of, minlength=k).tolist() for split, of in targets.items()},
        near_duplicates=list(range(int(random.choice([0, 0, 1 + test // 4])))),
        near_duplicates_note="compared",
    )
    records = []
    for place in random.choice(len(MODELS), random.integers(1, 7), replace=False):
        model, mode, settings = MODELS[place]
        skill = base + (0 if equal else random.normal())
        made, kind = Made(model, mode), str(random.choice(LEARNING))
        for number in range(int(random.choice([1, 1, 2, 3, 5]))):
            run = RunSettings(model=model, mode=mode, seed=number, **settings)  # type: ignore[arg-type]
            if random.random() < 0.06:
                records.append(_failed(run, len(records)))
                continue
            splits = {s: _answers(random, targets[s], k, skill + 2 * difficulty[s]) for s in ("val", "test")}
            history = made_history(kind, max(1 / k, float(splits["val"].correct.mean())), number)
            details = RunDetails(
                status="complete",
                run_id=f"run-{len(records)}",
                settings=run,
                classes=[f"class {n}" for n in range(k)],
                dataset=data,
                model=model_info(made, k),
                timings=timings(made, 0).model_copy(
                    update={"train_seconds": SIZES["resnet18"][3] * float(np.exp(random.normal() / 5))}
                ),
                best_epoch=int(history.loc[history["val_loss"].idxmin(), "epoch"]),
                stop_reason="all epochs done",
                environment=environment(),
            )
            record = RunRecord(Path("/nowhere") / details.run_id, details)
            nothing = dict.fromkeys(("images", "conditions", "external", "explanations", "int8"))
            known = {"history": history.assign(**dict.fromkeys(STAGE_COLUMNS)), "_splits": splits}
            known["gallery"] = pd.DataFrame(columns=list(GALLERY_COLUMNS))
            record.__dict__.update(known, baselines=[], **nothing)
            records.append(record)
    experiment = Experiment(name="drawn", title="Drawn", runs=[record.settings for record in records])
    return Study.from_records(experiment, records)


def _failed(run: RunSettings, place: int) -> RunRecord:
    failure = Failure(kind="RunError", message="out of memory.")
    return RunRecord(
        Path("/nowhere"), RunDetails(status="failed", run_id=f"run-{place}", settings=run, failure=failure)
    )


def _answers(random: np.random.Generator, target: np.ndarray, k: int, ease: np.ndarray) -> SplitPredictions:
    right = ease + 0.6 * random.standard_normal(len(target)) > 0
    guess = np.where(right, target, (target + random.integers(1, k, len(target))) % k)
    logits = random.normal(size=(len(target), k)) / 2
    logits[np.arange(len(target)), guess] = logits.max(axis=1) + np.maximum(0.05, ease)
    share = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability = (share / share.sum(axis=1, keepdims=True)).astype(np.float32)
    return SplitPredictions(np.arange(len(target)), target, probability)
