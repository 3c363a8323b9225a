"""Images per second of training: ours, the tutorial's and fastai's, and the machine's own limit."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import torch

from bench import fastai_peer, images, ours, tutorial, workload
from bench.measuring import Options, Result, Target, apart, in_turn, synchronize
from pipeline.experiment import RunSettings
from pipeline.learn import device

KEYS = ("throughput_vs_tutorial", "throughput_vs_fastai", "share_of_matmul_ceiling")
WARM_UP = 3
SIDES = (1024, 2048, 4096)
CEILING_SECONDS = 0.4  # for each side

TIMED = (
    "training steps at batch 128, after warm-up: getting the batch, augmentation, forward, backward, "
    "optimizer and the tutorials' own counting; device synchronised before each reading of the clock"
)


def compare(options: Options) -> Iterator[Result]:
    """Measure all in turn, in every round, each in a process of its own."""
    folder = images.for_options(options)
    last = WARM_UP + (8 if options.quick else 40)
    limit = 2_560 if options.quick else 10_240
    ours_settings = workload.settings(data_dir=str(folder), max_train_images=limit, epochs=2)
    places = iter(options.folder / f"run-{number}" for number in range(100))
    with ExitStack() as stack:
        own = stack.enter_context(apart(ours.images_per_second))
        plain = stack.enter_context(apart(tutorial.images_per_second))
        contenders = {
            "ours": lambda: own(ours_settings.model_dump_json(), next(places)),
            "tutorial": lambda: plain(folder, WARM_UP + 1, last),
            "ceiling": stack.enter_context(apart(matrix_products)),
        }
        if fastai_peer.version():
            fastai = stack.enter_context(apart(fastai_peer.images_per_second))
            contenders["fastai"] = lambda: fastai(folder, WARM_UP + 1, last)
        own(ours_settings.model_dump_json(), next(places))  # decodes the images, once for all rounds
        rounds = list(in_turn(options.rounds, contenders))
    yield from _results(rounds)


def _results(rounds: list[dict[str, float]]) -> Iterator[Result]:
    details = {
        "network": "custom_cnn as shipped (widths 64, 128, 256, depth 2), 32×32, batch 128",
        "multiply_adds": workload.operations(training=False) // 2,
        "images_per_second": rounds,
    }
    yield Result(
        "throughput_vs_tutorial",
        "images/s of ours / images/s of tutorial-style PyTorch, same net and batch",
        TIMED,
        Target("at least", 4),
        [r["ours"] / r["tutorial"] for r in rounds],
        details=details,
    )
    if "fastai" in rounds[0]:
        yield Result(
            "throughput_vs_fastai",
            "images/s of ours / images/s of fastai with its own loaders and batch transforms",
            TIMED,
            Target("at least", 4),
            [r["ours"] / r["fastai"] for r in rounds],
            details=details,
        )
    operations = workload.operations(training=True)
    yield Result(
        "share_of_matmul_ceiling",
        "arithmetic rate of our training / this machine's fastest bf16 (or fp32) matrix product",
        f"ours: as above; the product: {CEILING_SECONDS} s for each of n×n by n×n, n = {SIDES}",
        Target("at least", 0.6),
        [r["ours"] * operations / r["ceiling"] for r in rounds],
        details={
            "operations_per_image": operations,
            "ceiling_operations_per_second": [r["ceiling"] for r in rounds],
        },
    )


def matrix_products() -> float:
    """Return the operations per second of square matrix products, at the side that is fastest."""
    found = device.tune(device.choose(RunSettings()))
    number_format = torch.bfloat16 if found.precision == "bf16" else torch.float32
    return max(_rate(side, number_format, found.device) for side in SIDES)


@torch.no_grad()
def _rate(side: int, number_format: torch.dtype, device: torch.device) -> float:
    a, b = (torch.randn(side, side, device=device).to(number_format) for _ in range(2))
    _ = a @ b
    synchronize()
    started, products = time.perf_counter(), 0
    while time.perf_counter() - started < CEILING_SECONDS:
        for _ in range(1 if device.type == "cpu" else 50):
            _ = a @ b
            products += 1
        synchronize()
    return 2 * side**3 * products / (time.perf_counter() - started)
