"""The most memory that a run takes, against the bytes of its images."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import images, workload
from bench.measuring import Options, Result, Target, say
from bench.overhead import headstart
from pipeline.record import RunRecord

KEYS = ("peak_memory_ratio",)
ALLOWED_FACTOR, ALLOWED_BYTES = 3, 500_000_000


def compare(options: Options) -> Iterator[Result]:
    """Make a run in each round, one epoch long, as a user would: the seeds of one experiment."""
    data = images.for_options(options)
    params = options.folder / "memory.yaml"
    params.write_text(_params(options, data), encoding="utf-8")
    say("runs", lambda: headstart("run", params))
    records = [RunRecord.read(made.parent) for made in sorted(options.folder.glob("runs/*/record.json"))]
    stored = [_image_bytes(record) for record in records]
    peaks = [record.details.timings.peak_memory_bytes for record in records]
    yield Result(
        "peak_memory_ratio",
        "most memory of a run above the framework's own after import / (3 × bytes of its images in "
        "uint8 + 500 MB): at most 1 is within the budget",
        "not a time: the largest resident set of the notebook's process, or the GPU's allocations",
        Target("at most", 1),
        [peak / (ALLOWED_FACTOR * size + ALLOWED_BYTES) for peak, size in zip(peaks, stored, strict=True)],
        details={"peak_bytes": peaks, "image_bytes": stored},
    )


def _params(options: Options, data: Path) -> str:
    limit = 2_000 if options.quick else None
    settings = workload.settings(data_dir=str(data), epochs=1, max_train_images=limit)
    models = [settings.model_copy(update={"seed": seed}) for seed in range(options.rounds)]
    return yaml.safe_dump({"models": [json.loads(model.model_dump_json()) for model in models]})


def _image_bytes(record: RunRecord) -> int:
    dataset = record.details.dataset
    assert dataset is not None
    assert dataset.native_size is not None
    return sum(dataset.split_sizes.values()) * dataset.native_size[0] * dataset.native_size[1] * 3
