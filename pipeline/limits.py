"""What runs need of disk and memory against what is free: too much is refused before any work.

Needs are lower bounds, of what training surely holds at once: what might just fit is tried. Networks
are built on PyTorch's meta device, where tensors have sizes and no content, so asking costs nothing.
On a GPU one training step on made-up images says more than any sum: it is tried in a process of its
own, which gives the memory back.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from pipeline import gpus
from pipeline.errors import HeadstartError, RunError, SettingsError, one_line
from pipeline.experiment import RunSettings
from pipeline.files import cache_folder, free_disk
from pipeline.forker import SOCKET_VARIABLE, start
from pipeline.surroundings import own_environment

FLOAT_BYTES = 4
CLASSES = 10  # the last layer is small beside the rest, whatever its classes
NATIVE_SIDES = {"digits": 8, "cifar10": 32, "cifar100": 32}
SMALLEST_SIDE = 8
IDLE_FOR_FEATURES = (
    "seed", "learning_rate", "weight_decay", "epochs", "head_epochs", "backbone_learning_rate_factor",
    "train_size", "budget", "trial", "prune_below",
)  # fmt: skip
CGROUP = Path("/sys/fs/cgroup")
TRY = "import sys; from pipeline import limits; sys.exit(limits.main())"


@dataclass(frozen=True)
class Need:
    """Bytes that one run cannot do without, in memory and on disk."""

    settings: RunSettings
    side: int
    batch: int  # images in one step: batch_size, or all where there are fewer
    fixed: int  # memory, whatever the batch
    activations: int  # memory that the batch needs
    kept: int  # disk, for good
    scratch: int  # disk, while it works
    features: int  # disk, in the cache, shared by seeds

    @property
    def memory(self) -> int:
        return self.fixed + self.activations


def check(runs: Sequence[RunSettings], runs_dir: Path, jobs: int) -> None:
    """Raise SettingsError, naming what to lower, when runs need more than this machine has free.

    Where forks have PyTorch and its networks imported already, one of them finds out: here that takes
    seconds.
    """
    if SOCKET_VARIABLE in os.environ and not gpus.may_be_there():
        _check_in_fork(runs, runs_dir, jobs)
    else:
        _check_here(runs, runs_dir, jobs)


def _check_in_fork(runs: Sequence[RunSettings], runs_dir: Path, jobs: int) -> None:
    asked = {"runs": [run.model_dump() for run in runs], "runs_dir": str(runs_dir), "jobs": jobs}
    with tempfile.TemporaryFile() as answer:
        process = start(
            "pipeline.limits:check_asked",
            asked,
            output=answer,
            environment=own_environment(),
            folder=str(Path.cwd()),
        )
        try:
            code = process.wait()
        finally:
            process.kill()
        answer.seek(0)
        said = answer.read().decode(errors="replace").strip().splitlines()
    if code:
        error = SettingsError if code == SettingsError.exit_code else RunError
        raise error(said[-1] if said else f"what the runs need could not be found out (exit code {code})")


def check_asked() -> None:
    """Answer ``check``, which asks on standard input; exit as its error would and say why on stderr."""
    asked = json.load(sys.stdin)
    try:
        _check_here([RunSettings(**run) for run in asked["runs"]], Path(asked["runs_dir"]), asked["jobs"])
    except HeadstartError as error:
        print(one_line(error), file=sys.stderr)
        sys.exit(error.exit_code)


def _check_here(runs: Sequence[RunSettings], runs_dir: Path, jobs: int) -> None:
    from pipeline.learn import device
    from pipeline.learn.data import sources

    images = sources.training_images(runs)
    found = map(need, runs, images)
    needs = [n for n in found if n is not None]
    refuse_full_disk(needs, runs_dir, jobs)
    refuse_full_cache(needs, cache_folder("features"))
    on_gpu = [n for n in needs if device.choose(n.settings).device.type == "cuda"]
    refuse_full_memory([n for n in needs if n not in on_gpu], jobs)
    if on_gpu:
        try_batches(on_gpu, math.ceil(jobs / max(1, len(gpus.visible()))))


def refuse_full_disk(needs: Sequence[Need], runs_dir: Path, jobs: int) -> None:
    """Raise SettingsError when the runs would not fit on the disk of the folder of runs."""
    at_once = sorted((n.scratch for n in needs), reverse=True)[:jobs]
    needed, free = sum(n.kept for n in needs) + sum(at_once), free_disk(runs_dir)
    if needed > free:
        largest = max(needs, key=lambda n: n.kept)
        runs = "the run that is missing needs" if len(needs) == 1 else f"the {len(needs)} missing runs need"
        raise SettingsError(
            f"{runs_dir}: {_size(free)} of disk are free, but {runs} {_size(needed)}, "
            f"{largest.settings.model} {_size(largest.kept)} for its weights. "
            f"Make room, set runs_dir to another disk, or lower {_lower_on_disk(largest.settings)}."
        )


def _lower_on_disk(settings: RunSettings) -> str:
    own = "widths, depth" if settings.model == "custom_cnn" else "models"
    return f"{own} or the number of seeds"


def refuse_full_cache(needs: Sequence[Need], folder: Path) -> None:
    """Raise SettingsError when the features that frozen backbones give would not fit on the cache's disk."""
    shared = {_without(n.settings, *IDLE_FOR_FEATURES): n for n in needs}
    there = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    needed, free = sum(n.features for n in shared.values()) - there, free_disk(folder)
    if needed > free:
        largest = max(needs, key=lambda n: n.features).settings
        views = " or feature_views" if largest.feature_views > 1 else ""
        raise SettingsError(
            f"{folder}: {_size(free)} of disk are free, but the features of frozen backbones need "
            f"{_size(needed)}, most of them those of {largest.model}. Make room, make it a link to a folder "
            f"with room, or lower max_train_images{views}."
        )


def refuse_full_memory(needs: Sequence[Need], jobs: int) -> None:
    """Raise SettingsError when the runs that work at the same time would not fit in memory."""
    largest = sorted(needs, key=lambda n: n.memory, reverse=True)[:jobs]
    needed, free = sum(n.memory for n in largest), free_memory()
    if needed <= free:
        return
    first = largest[0]
    together = f" and {len(largest)} runs at a time need {_size(needed)}" if len(largest) > 1 else ""
    raise SettingsError(
        f"{first.settings.model} ({first.settings.mode}): batch_size {first.batch} at {first.side} pixels "
        f"needs at least {_size(first.memory)} of memory{together}, and {_size(free)} are free. "
        f"{_lower_in_memory(first, free, len(largest))}"
    )


def _lower_in_memory(largest: Need, free: int, at_once: int) -> str:
    """Return what to lower, with the largest power of two that ``batch_size`` may be."""
    room = free // at_once - largest.fixed
    fitting = room * largest.batch // max(1, largest.activations)
    jobs = " or --jobs" if at_once > 1 else ""
    if fitting < 1:
        return f"Lower image_size{jobs}, or take a smaller model."
    return f"Lower batch_size to {1 << (fitting.bit_length() - 1)} or less, or image_size{jobs}."


def need(settings: RunSettings, images: int) -> Need | None:
    """Return what a run on so many training images needs; None for a network that cannot be measured."""
    side, batch = _side(settings), min(settings.batch_size, settings.train_size or images)
    try:
        network = _without_content(settings, side)
        activations = (
            0 if settings.mode == "linear_probe" else activation_bytes(network, settings, batch, side)
        )
    except Exception:  # noqa: BLE001 (a network that resists being measured is tried as it is)
        return None
    with_features = settings.mode == "linear_probe" or (settings.mode == "fine_tune" and settings.head_epochs)
    views = settings.feature_views if settings.mode == "linear_probe" else 1
    whole = _bytes(network.parameters())
    trained = _bytes(network.head.parameters()) if settings.mode == "linear_probe" else whole
    # Muon keeps one, and AdamW, for the rest of a network, a second.
    states = {"sgd": int(settings.momentum > 0), "muon": 1}.get(settings.optimizer, 2)
    checkpoint = trained * (2 + states + settings.weight_averaging)  # weights, best weights, optimizer
    return Need(
        settings,
        side,
        batch,
        fixed=whole + trained + (checkpoint - trained) + checkpoint,  # gradients; a checkpoint being written
        activations=activations,
        kept=whole,
        scratch=2 * checkpoint,  # the old one and the new one
        features=images * views * network.head.in_features * _float_bytes(settings) if with_features else 0,
    )


def _side(settings: RunSettings) -> int:
    """Return the side that a network surely sees, in pixels."""
    from pipeline.learn import models

    known = models.preprocessing(settings).image_size
    return known or NATIVE_SIDES.get(settings.dataset, SMALLEST_SIDE)


def _without_content(settings: RunSettings, side: int) -> Any:
    import torch

    with torch.device("meta"):
        return _random_network(settings, side)


def _random_network(settings: RunSettings, side: int) -> Any:
    """Build the network of a run with random weights, which are as large as any."""
    from pipeline.learn import models
    from pipeline.learn.models.weights import Preprocessing

    untrained = settings.model_copy(update={"mode": "scratch", "weights": None})
    return models.build(untrained, [str(k) for k in range(CLASSES)], Preprocessing(image_size=side))


def activation_bytes(network: Any, settings: RunSettings, batch: int, side: int) -> int:
    """Return the least number of bytes that a forward pass keeps for the backward pass."""
    import torch

    own = {p.untyped_storage()._cdata for p in network.parameters()}
    kept: dict[int, Any] = {}

    def note(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            kept[storage._cdata] = storage  # held, so that no other storage takes its address
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        network.train()(torch.empty(batch, 3, side, side, device="meta"))
    return sum(storage.nbytes() for storage in kept.values()) * _float_bytes(settings) // FLOAT_BYTES


def _float_bytes(settings: RunSettings) -> int:
    from pipeline.learn import device

    return FLOAT_BYTES if device.choose(settings).precision == "fp32" else 2


def _bytes(tensors: Iterable[Any]) -> int:
    return sum(t.numel() for t in tensors) * FLOAT_BYTES


def _without(settings: RunSettings, *keys: str) -> str:
    """Return settings as text, but for some: equal for runs that differ in nothing else."""
    return settings.model_dump_json(exclude=set(keys))


def free_memory() -> int:
    """Return the bytes of memory that are free to this process; a container may have few of them."""
    machine = psutil.virtual_memory().available + psutil.swap_memory().free
    with suppress(OSError, ValueError):  # no such limit
        limit = int((CGROUP / "memory.max").read_text())
        return min(machine, limit - int((CGROUP / "memory.current").read_text()) + _reclaimable())
    return machine


def _reclaimable() -> int:
    """Return the bytes of a container's memory that only cache files."""
    lines = (CGROUP / "memory.stat").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("inactive_file ", "active_file ")))


def _size(count: int) -> str:
    if count >= 999.5e9:
        return f"{count / 1e12:,.3g} TB"
    return f"{count / 1e9:.3g} GB" if count >= 1e7 else f"{count / 1e6:.3g} MB"


def try_batches(needs: Sequence[Need], together: int = 1) -> None:
    """Raise SettingsError for the first run whose training step does not fit the device's memory.

    Where ``together`` jobs share a GPU, each must do with its share.
    """
    trained = {
        _without(n.settings, "seed"): n.settings.model_copy(update={"batch_size": n.batch})
        for n in needs
        if n.settings.mode != "linear_probe"  # its backbone keeps nothing for a backward pass
    }
    runs = [settings.model_dump() for settings in trained.values()]
    asked = json.dumps({"share": 1 / together, "runs": runs})
    done = subprocess.run(
        [sys.executable, "-c", TRY], input=asked, capture_output=True, text=True, check=False
    )
    if done.returncode == SettingsError.exit_code:
        raise SettingsError(one_line(done.stderr.strip().splitlines()[-1]))


def try_batch(settings: RunSettings, share: float = 1) -> None:
    """Train one step on made-up images. Raises RunError, naming what to lower, when memory runs out.

    Of a GPU's memory it takes no more than a ``share``.
    """
    import torch

    from pipeline.learn import device, optimizers, train
    from pipeline.learn.loss_scale import LossScale

    machine, side = device.choose(settings), _side(settings)
    if machine.device.type == "cuda":
        torch.cuda.set_per_process_memory_fraction(share)
    with machine.explaining_limits(settings):
        network = machine.place(_random_network(settings, side))
        optimizer = optimizers.build(network.parameter_groups(settings), settings, machine)  # type: ignore[operator]
        images = machine.place_images(torch.rand(settings.batch_size, 3, side, side, device=machine.device))
        targets = torch.zeros(settings.batch_size, dtype=torch.int64, device=machine.device)
        loss, _ = train.training_loss(network.train(), images, targets, settings, machine)
        scale = LossScale(network, optimizer, machine)
        scale.backward(loss)
        scale.take_step()
        machine.synchronize()


def main() -> int:
    """Try a step of each run whose settings are on standard input; say on stderr which does not fit."""
    asked = json.load(sys.stdin)
    for values in asked["runs"]:
        try:
            try_batch(RunSettings(**values), asked["share"])
        except HeadstartError as error:
            print(one_line(error), file=sys.stderr)
            return SettingsError.exit_code
    return 0
