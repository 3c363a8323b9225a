"""Whole run folders with made-up results of chosen accuracy, for tests of the report.

``made_study(folder, kind)`` writes them under ``folder/runs`` and reads them back as a Study; the
kinds are in ``KINDS``. Models of one study share how hard each image is, as real models do.
"""

from dataclasses import replace
from pathlib import Path

from pipeline import files, record
from pipeline.experiment import Experiment, RunSettings
from pipeline.record import Failure, RunDetails, RunFolder, RunRecord
from pipeline.report.study import Study
from tests.made_values import (
    SIZES,
    Made,
    MadeData,
    baselines,
    dataset_info,
    environment,
    gallery,
    made_history,
    model_info,
    predictions,
    timings,
    write_notebook,
)

__all__ = [
    "KINDS",
    "SIZES",
    "Made",
    "MadeData",
    "made_details",
    "made_experiment",
    "made_history",
    "made_study",
    "write_experiment",
    "write_run",
]

LONG_CLASSES = (
    "great crested newt (Triturus cristatus), adult male in breeding condition",
    "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz",
    "a photograph of something that nobody on the annotation team could agree about",
    "ミナミコアリクイ（Tamandua tetradactyla）",
    "x",
)
HOSTILE_CLASSES = (
    "<b>bold</b>",
    "$x^2$ and \\alpha",
    "@fig-curves",
    "a | b",
    "{{< include x >}}",
    "#set page(width: 1pt)",
    "`code` [link](http://example.com)",
    "*stars* _and_ ~tildes~",
    "<script>alert('1')</script>",
    "\\",
    "🦊 止血钳 كلب 7",
)


_SCRATCH = Made(accuracy=0.80, learning="overfit")
_RESNET = (
    Made("resnet18", "scratch", 0.74, learning="overfit"),
    Made("resnet18", "linear_probe", 0.79, learning="underfit"),
    Made("resnet18", "fine_tune", 0.88, learning="stopped"),
)
_LITE = Made("efficientnet_lite0", "fine_tune", 0.90, learning="stopped", overconfidence=1.2)
_SMALL = MadeData(test=400, val=200, train=1000)
_ALL = (_SCRATCH, *_RESNET, _LITE)


def _with(models: tuple[Made, ...], **changes: object) -> tuple[Made, ...]:
    return tuple(replace(made, **changes) for made in models)  # type: ignore[arg-type]


def _at_sizes() -> tuple[Made, ...]:
    """A CNN that catches up with a pretrained network between 1,200 and 4,500 training images."""
    own, transfer = Made(seeds=(0, 1)), Made("efficientnet_lite0", "fine_tune", seeds=(0, 1))
    curves = (own, (0.50, 0.685, 0.82, 0.90)), (transfer, (0.80, 0.835, 0.86, 0.878))
    sizes: tuple[dict[str, object], ...] = (
        {"train_size": 100},
        {"train_size": 300},
        {"train_size": 1200},
        {},
    )
    return tuple(
        replace(made, accuracy=accuracy, settings=size)
        for made, curve in curves
        for accuracy, size in zip(curve, sizes, strict=True)
    )


BASELINES = {
    "commonest class": 0.1,
    "logistic regression on 8 × 8 pixels": 0.4,
    "nearest neighbours of frozen features": 0.79,
}


def _tuned() -> tuple[Made, ...]:
    """A CNN that four trials bring ahead of a network that needs none, and the runs that followed."""
    own, transfer = Made(seeds=(0,)), Made("efficientnet_lite0", "fine_tune", seeds=(0,))
    rates = (0.001, 0.0005, 0.003, 0.002)
    searches = (own, (0.60, 0.55, 0.88, 0.80)), (transfer, (0.84, 0.845, 0.80, 0.79))
    tried = [
        replace(made, accuracy=accuracy, settings={"learning_rate": rate, "trial": number})
        for made, scores in searches
        for number, (rate, accuracy) in enumerate(zip(rates, scores, strict=True))
    ]
    found = {"learning_rate": 0.003}, {"learning_rate": 0.0005}
    final = (
        replace(own, accuracy=0.88, settings=found[0]),
        replace(transfer, accuracy=0.85, settings=found[1]),
    )
    return (*tried, *_with(final, seeds=(0, 1)))


KINDS: dict[str, tuple[MadeData, tuple[Made, ...]]] = {
    "transfer_wins": (MadeData(), _with(_ALL, seeds=(0, 1, 2))),
    "scratch_wins": (
        MadeData(),
        _with((Made(accuracy=0.93), Made("resnet18", "linear_probe", 0.71), *_RESNET[2:]), seeds=(0, 1)),
    ),
    "tie": (_SMALL, (Made(accuracy=0.85), Made("resnet18", "fine_tune", 0.855))),
    "one_seed": (MadeData(), _ALL),
    "one_model": (_SMALL, (_SCRATCH,)),
    "one_transfer_model": (_SMALL, (_LITE,)),
    "no_transfer": (_SMALL, (_SCRATCH, _RESNET[0])),
    "no_scratch": (MadeData(), _RESNET[1:]),
    "no_custom": (MadeData(), _RESNET),
    "failed_run": (MadeData(), (_SCRATCH, replace(_RESNET[2], seeds=(0, 1), failed_seeds=(1,)),
                                replace(_LITE, failed_seeds=(0,)))),
    "all_failed": (_SMALL, _with((_SCRATCH, _LITE), failed_seeds=(0,))),
    "two_classes": (replace(_SMALL, classes=("cat", "dog"), balanced=False), _ALL),
    "hundred_classes": (
        replace(MadeData(), classes=tuple(f"class {k:02d}" for k in range(100))),
        (replace(_SCRATCH, accuracy=0.62), replace(_LITE, accuracy=0.68)),
    ),
    "long_names": (
        replace(_SMALL, classes=LONG_CLASSES),
        (_SCRATCH, Made("timm/vit_base_patch16_224.augreg2_in21k_ft_in1k", "fine_tune", 0.9)),
    ),
    "hostile_names": (replace(_SMALL, classes=HOSTILE_CLASSES), (_SCRATCH, _RESNET[2])),
    "same_model_twice": (
        _SMALL,
        (
            Made(settings={"learning_rate": 0.1, "augmentation": ["crop", "flip"]}),
            Made(accuracy=0.7, settings={"learning_rate": 0.01}),
        ),
    ),
    "sizes": (MadeData(), _at_sizes()),
    "tuned": (replace(MadeData(), baselines=BASELINES), _tuned()),
    "perfect": (_SMALL, (Made(accuracy=1.0), Made("resnet18", "fine_tune", 1.0))),
}  # fmt: skip


def made_study(folder: Path, kind: str) -> Study:
    """Write the run folders of one of ``KINDS`` below ``folder`` and return their Study."""
    return Study.from_records(*made_experiment(folder, kind))


def made_experiment(folder: Path, kind: str) -> tuple[Experiment, list[RunRecord]]:
    """Write the run folders of one of ``KINDS`` below ``folder``; return what ``ensure`` would."""
    return write_experiment(folder, kind, *KINDS[kind])


def write_experiment(
    folder: Path, name: str, data: MadeData, models: tuple[Made, ...]
) -> tuple[Experiment, list[RunRecord]]:
    """Write a run folder for each model and seed below ``folder/runs``."""
    written = [write_run(folder / "runs", made, seed, data) for made in models for seed in made.seeds]
    experiment = Experiment(
        name=name,
        title="Custom CNN or transfer learning?",
        description="Made-up results.",
        author="Nobody",
        runs_dir=str(folder / "runs"),
        path=f"params/{name}.yaml",
        runs=[record.settings for record in written],
    )
    return experiment, written


def write_run(runs: Path, made: Made, seed: int, data: MadeData) -> RunRecord:
    """Write one run's folder, whole or failed, and read it back."""
    settings = RunSettings(model=made.model, mode=made.mode, seed=seed, patience=4, **made.settings)
    hashes = {"settings": files.digest(settings.model_dump()), "data": "made", "code": "made"}
    run_id = record.run_id(settings, hashes)
    folder = RunFolder(runs / run_id)
    folder.path.mkdir(parents=True, exist_ok=True)
    write_notebook(folder.path / "train.ipynb", made, seed, failed=seed in made.failed_seeds)
    record.write_settings(folder.path / "settings.yaml", settings)
    if seed in made.failed_seeds:
        details = _failed_details(run_id, settings, hashes)
    else:
        details = made_details(folder, made, settings, data, run_id, hashes)
    files.write_json(folder.path / "record.json", details.model_dump(mode="json"))
    return RunRecord.read(folder.path)


def made_details(
    folder: RunFolder, made: Made, settings: RunSettings, data: MadeData, run_id: str, hashes: dict[str, str]
) -> RunDetails:
    """Write the tables of a whole run into its folder and return what its record says."""
    accuracy = made.accuracy + (0, -made.seed_step, made.seed_step)[settings.seed % 3]
    on_val = accuracy - 0.01 if made.val_accuracy is None else made.val_accuracy
    splits = {
        split: predictions(data, split, share, made, settings.seed)
        for split, share in (("val", on_val), ("test", accuracy))
    }
    history = made_history(made.learning, accuracy, settings.seed)
    folder.write_history(history)
    folder.write_predictions(splits)
    folder.write_gallery(gallery(data, splits["test"]))
    if data.baselines:
        folder.write_baselines(baselines(data))
    best_epoch = int(history.loc[history["val_loss"].idxmin(), "epoch"])
    stopped = made.learning == "stopped"
    return RunDetails(
        status="complete",
        run_id=run_id,
        settings=settings,
        classes=list(data.classes),
        dataset=dataset_info(data),
        model=model_info(made, len(data.classes)),
        timings=timings(made, settings.seed),
        best_epoch=best_epoch,
        stop_reason="val loss did not fall for 4 epochs" if stopped else "all epochs done",
        environment=environment(),
        hashes=hashes,
    )


def _failed_details(run_id: str, settings: RunSettings, hashes: dict[str, str]) -> RunDetails:
    failure = Failure(
        kind="OutOfMemoryError",
        message="out of memory at batch size 128. Try a smaller batch_size.",
        cell="5 (fit)",
        traceback="OutOfMemoryError: out of memory",
    )
    return RunDetails(status="failed", run_id=run_id, settings=settings, failure=failure, hashes=hashes)
