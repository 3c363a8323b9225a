"""The whole assignment: a study with its report, against one tutorial-style script that does the same work.

And its dearest part alone: fine-tuning a pretrained network, against fastai's ``fine_tune``.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from bench import fastai_peer, images
from bench.measuring import Options, Result, Target, apart, in_turn
from bench.overhead import ROOT, headstart
from pipeline.experiment import Experiment, RunSettings
from pipeline.record import RunRecord
from pipeline.report.evidence.interval import wilson

KEYS = ("study_vs_tutorial", "transfer_vs_fastai")
PARAMS = ROOT / "params" / "cifar10-jpeg.yaml"
QUICK = {"train": 200, "test": 100}  # images of each class
QUICK_EPOCHS = 0.25  # of the study's own


def compare(options: Options) -> Iterator[Result]:
    """Make the study both ways in turn, each time in an empty folder, then fine-tune both ways."""
    if options.quick:
        data = images.some_of_them(options.folder / "study-images", QUICK)
    else:
        data = images.some_of_them(options.folder / "study-images", {"train": 500, "test": 1000})
    content = study(data.absolute(), QUICK_EPOCHS if options.quick else 1)
    places = (options.folder / f"study-{number}" for number in range(100))
    rounds = 1 if options.quick else options.rounds
    found = list(
        in_turn(
            rounds,
            {
                "tutorial": lambda: tutorial_study(content, next(places)),
                "ours": lambda: own_study(content, next(places)),
            },
        )
    )
    tests = sum(len(list(folder.iterdir())) for folder in (data / "test").iterdir())
    yield Result(
        "study_vs_tutorial",
        "seconds of the tutorial-style script for the same networks, epochs and sizes / seconds of "
        "`headstart report params/cifar10-jpeg.yaml` with HTML and PDF",
        "both from the start of Python to its end: reading files, training, evaluation, figures",
        Target("at least", 4),
        [one["tutorial"]["seconds"] / one["ours"]["seconds"] for one in found],
        details={
            "study": content,
            "test_images": tests,
            "rounds": [_with_intervals(r, tests) for r in found],
        },
    )
    yield _transfer(content, data, options)


def study(data: Path, share: float) -> dict[str, Any]:
    """Return the shipped study on a folder of images, with a share of its epochs."""
    content = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    del content["max_train_images"]
    content["data_dir"] = str(data)
    for entry in content["models"]:
        entry["epochs"] = max(1, round(share * entry["epochs"]))
        if entry.get("mode") == "fine_tune":
            entry["head_epochs"] = max(1, round(share * RunSettings().head_epochs))
    return dict(content)


def own_study(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Make the study and its report in a new folder; return the seconds and the test accuracies."""
    runs = _written(content, folder)
    seconds = headstart("report", folder / "study.yaml")
    records = [RunRecord.read(path.parent) for path in folder.glob("runs/*/record.json")]
    by_model = {(r.settings.model, r.settings.mode): r for r in records}
    accuracies = [_accuracy(by_model[run.model, run.mode]) for run in runs]
    return {"seconds": seconds, "accuracies": accuracies}


def _accuracy(record: RunRecord) -> float:
    return float(record.split("test").correct.mean())


def tutorial_study(content: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Do the same work by the tutorial-style script, with all cores as PyTorch takes them."""
    runs = _written(content, folder)
    asked = {"data_dir": content["data_dir"], "runs": [run.model_dump() for run in runs]}
    (folder / "study.json").write_text(json.dumps(asked), encoding="utf-8")
    started = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "bench.study_tutorial", "study.json"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
    )
    seconds = time.perf_counter() - started
    accuracies = json.loads((folder / "accuracies.json").read_text(encoding="utf-8"))
    return {"seconds": seconds, "accuracies": accuracies}


def _written(content: dict[str, Any], folder: Path) -> list[RunSettings]:
    folder.mkdir()
    (folder / "study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return Experiment.from_yaml(folder / "study.yaml").runs


def _with_intervals(found: dict[str, Any], tests: int) -> dict[str, Any]:
    """Put the 95 % Wilson interval beside each accuracy."""
    return {
        side: {
            "seconds": one["seconds"],
            "accuracies": one["accuracies"],
            "intervals": [
                [float(end) for end in wilson(round(tests * value), tests)] for value in one["accuracies"]
            ],
        }
        for side, one in found.items()
    }


def _transfer(content: dict[str, Any], data: Path, options: Options) -> Result:
    """Fine-tune efficientnet_lite0 both ways, from the same weights, for as many epochs."""
    entry = next(e for e in content["models"] if e.get("mode") == "fine_tune")
    ours = {**content, "models": [entry]}
    places = (options.folder / f"transfer-{number}" for number in range(100))
    with apart(fastai_peer.fine_tuned) as theirs:
        found = list(
            in_turn(
                1 if options.quick else options.rounds,
                {
                    "fastai": lambda: theirs(data, entry, content["batch_size"]),
                    "ours": lambda: trained(ours, next(places)),
                },
            )
        )
    return Result(
        "transfer_vs_fastai",
        "seconds of fastai's `fine_tune` / seconds of ours to the end, same weights, epochs and size; "
        "accuracies on test stand beside them",
        "ours: features, training and val passes of the run; fastai: `fine_tune` with its val passes; "
        "neither: starting Python, loading or test",
        Target("at least", 2.5),
        [one["fastai"]["seconds"] / one["ours"]["seconds"] for one in found],
        details={"entry": entry, "rounds": found},
    )


def trained(content: dict[str, Any], folder: Path) -> dict[str, float]:
    """Make the one run of a study; return its seconds of training and its test accuracy."""
    _written(content, folder)
    headstart("run", folder / "study.yaml")
    (path,) = folder.glob("runs/*/record.json")
    record = RunRecord.read(path.parent)
    assert record.details.timings is not None
    return {"seconds": record.details.timings.train_seconds, "accuracy": _accuracy(record)}
