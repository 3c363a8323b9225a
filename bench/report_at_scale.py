"""How long a report takes when there is much to report: many runs, or many test images."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from bench.measuring import Options, Result, Target, say
from bench.overhead import headstart
from pipeline.experiment import Experiment
from pipeline.files import write_json
from pipeline.plan import PlannedRun, plan
from pipeline.record import RunFolder, write_settings
from tests.made_records import made_details
from tests.made_values import SIZES, Made, MadeData, write_notebook

KEYS = ("report_60_runs_seconds", "report_100k_images_seconds")
NETWORKS = (
    ("custom_cnn", "scratch"),
    ("efficientnet_lite0", "linear_probe"),
    ("resnet18", "scratch"),
    ("efficientnet_lite0", "fine_tune"),
)
LEARNING = ("healthy", "overfit", "stopped", "unfinished", "underfit")
TIMED = "the whole command with HTML and PDF, from the start of Python to its end; made-up predictions"


def compare(options: Options) -> Iterator[Result]:
    """Write whole runs with made-up predictions, and call their report again and again."""
    small = MadeData(test=500, val=100) if options.quick else MadeData(test=10_000, val=5_000)
    large = MadeData(test=2_000, val=500) if options.quick else MadeData(test=100_000, val=10_000)
    yield _measured("report_60_runs_seconds", 3 if options.quick else 20, small, 15, options)
    yield _measured("report_100k_images_seconds", 2, large, 12, options)


def _measured(key: str, models: int, data: MadeData, most_seconds: float, options: Options) -> Result:
    params = options.folder / f"{key}.yaml"
    say("runs", lambda: write_runs(params, models, data))
    say("first report", lambda: headstart("render", params))  # as after training: caches are there
    seconds = [say("report", lambda: headstart("render", params)) for _ in range(options.rounds)]
    return Result(
        key,
        f"seconds of `headstart render`, {models} models × 3 seeds, {data.test:,} test images, all whole",
        TIMED,
        Target("at most", most_seconds),
        seconds,
        unit="s",
    )


def write_runs(params: Path, models: int, data: MadeData) -> None:
    """Write a params file of so many models, and all of its runs as if they had been trained."""
    made = [_made(number) for number in range(models)]
    entries = [{"model": one.model, "mode": one.mode, **one.settings} for one in made]
    content = {
        "dataset": "digits",
        "seeds": [0, 1, 2],
        "runs_dir": str(params.with_suffix(".runs")),
        "models": entries,
    }
    params.write_text(yaml.safe_dump(content), encoding="utf-8")
    planned = plan(Experiment.from_yaml(params))
    for one, runs in zip(made, _by_model(planned, 3), strict=True):
        for run in runs:
            _write_run(run, one, data)


def _made(number: int) -> Made:
    model, mode = NETWORKS[number % len(NETWORKS)]
    return Made(
        model,
        mode,
        accuracy=0.80 + 0.013 * (number * 7 % 11),
        learning=LEARNING[number % len(LEARNING)],
        overconfidence=1.0 + 0.1 * (number % 9),
        settings={"learning_rate": round(0.1 / (1 + number), 5)},
    )


def _by_model(planned: Sequence[PlannedRun], seeds: int) -> Iterator[Sequence[PlannedRun]]:
    return (planned[start : start + seeds] for start in range(0, len(planned), seeds))


def _write_run(run: PlannedRun, made: Made, data: MadeData) -> None:
    """Write one run's folder, sealed; its weights are as large as real ones, and empty."""
    run.folder.mkdir(parents=True)
    write_notebook(run.folder / "train.ipynb", made, run.settings.seed, failed=False)
    write_settings(run.folder / "settings.yaml", run.settings)
    with (run.folder / "model.safetensors").open("wb") as file:
        file.truncate(4 * SIZES[made.model][0])
    details = made_details(RunFolder(run.folder), made, run.settings, data, run.run_id, run.hashes)
    write_json(run.folder / "record.json", details.sealed(run.folder).model_dump(mode="json"))
