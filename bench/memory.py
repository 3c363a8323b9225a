"""The most memory that a run takes, against the bytes of its images."""

import json
from collections.abc import Iterator
from pathlib import Path

import yaml

from bench import images, workload
from bench.measuring import Options, Result, Target, say
from bench.overhead import headstart
from pipeline.records import RunRecord

KEYS = ("peak_memory_ratio",)
ALLOWED_FACTOR, ALLOWED_BYTES = 3, 500_000_000


def compare(options: Options) -> Iterator[Result]:
    """Make one run in each round, one epoch long, as a user would."""
    data = images.cifar10_jpeg().absolute()
    records = [
        say(f"run {seed + 1}", lambda seed=seed: _run(options, data, seed)) for seed in range(options.rounds)
    ]
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


def _run(options: Options, data: Path, seed: int) -> RunRecord:
    limit = 2_000 if options.quick else None
    settings = workload.settings(data_dir=str(data), seed=seed, epochs=1, max_train_images=limit)
    params = options.folder / f"memory-{seed}.yaml"
    content = {"runs_dir": f"runs-{seed}", "models": [json.loads(settings.model_dump_json())]}
    params.write_text(yaml.safe_dump(content), encoding="utf-8")
    headstart("run", params)
    (made,) = options.folder.glob(f"runs-{seed}/*/record.json")
    return RunRecord.read(made.parent)


def _image_bytes(record: RunRecord) -> int:
    dataset = record.details.dataset
    assert dataset is not None
    assert dataset.native_size is not None
    return sum(dataset.split_sizes.values()) * dataset.native_size[0] * dataset.native_size[1] * 3
