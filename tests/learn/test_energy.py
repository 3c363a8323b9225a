"""Energy is what the machine's counters rose by, or it is not known; nothing is guessed."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.learn import checkpoint, energy, evaluate, features, train
from pipeline.learn.energy import Counter, Meter
from tests.learn import tiny
from tests.learn.test_train import KilledError, kill_after

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ZONES = {  # folder: name, what it shows; a package holds its cores, "psys" the packages
    "intel-rapl:0": ("package-0", 5_000_000),
    "intel-rapl:0:0": ("core", 3_000_000),
    "intel-rapl:0:1": ("dram", 1_000_000),
    "intel-rapl:1": ("psys", 9_000_000),
    "intel-rapl-mmio:0": ("package-0", 5_000_000),
}


@pytest.fixture(autouse=True)
def no_counters_are_kept() -> Iterator[None]:
    energy.counters.cache_clear()
    yield
    energy.counters.cache_clear()


def powercap(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the files that Linux shows of a processor's counters."""
    for zone, (name, shown) in ZONES.items():
        (folder / zone).mkdir(parents=True)
        (folder / zone / "name").write_text(f"{name}\n")
        (folder / zone / "energy_uj").write_text(f"{shown}\n")
        (folder / zone / "max_energy_range_uj").write_text("10000000\n")
    monkeypatch.setattr(energy, "POWERCAP", folder)
    return folder


def show(folder: Path, zone: str, microjoules: int) -> None:
    (folder / zone / "energy_uj").write_text(str(microjoules))


def ticking(step: int) -> Callable[[], int]:
    """Return a counter's ``read`` that rises by ``step`` microjoules each time."""
    shown = iter(range(0, 10**12, step))
    return lambda: next(shown)


def count_with(monkeypatch: pytest.MonkeyPatch, *counters: Counter) -> None:
    monkeypatch.setattr(energy, "counters", lambda device: counters)


def test_package_and_memory_are_counted_and_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = powercap(tmp_path / "powercap", monkeypatch)
    with Meter(CPU) as meter:
        show(folder, "intel-rapl:0", 7_500_000)
        show(folder, "intel-rapl:0:0", 9_000_000)
        show(folder, "intel-rapl:0:1", 1_250_000)
        show(folder, "intel-rapl:1", 9_900_000)
    assert meter.joules == 2.75
    assert energy.note(CPU, meter.joules).startswith("by the counters of processor and memory, which are")


def test_a_counter_that_starts_again_is_counted_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = powercap(tmp_path / "powercap", monkeypatch)
    with Meter(CPU) as meter:
        show(folder, "intel-rapl:0", 9_000_000)
        meter.sample()
        show(folder, "intel-rapl:0", 1_000_000)
        meter.sample()
        show(folder, "intel-rapl:0", 3_000_000)
    assert meter.joules == 4 + 2 + 2


def test_counters_are_read_while_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice round between two readings would look like once."""
    monkeypatch.setattr(energy, "OFTEN", 0.005)
    reads: list[int] = []

    def read() -> int:
        reads.append(len(reads) * 7 % 10)
        return reads[-1]

    count_with(monkeypatch, Counter("package", read, largest=10))
    with Meter(CPU) as meter:
        while len(reads) < 12:
            time.sleep(0.001)
    assert meter.microjoules == 7 * (len(reads) - 1)


def test_a_counter_without_an_end_that_falls_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = iter([5, 3])
    count_with(monkeypatch, Counter("gpu", lambda: next(shown)))
    with Meter(CPU) as meter:
        pass
    assert meter.joules is None


@pytest.mark.parametrize("error", [PermissionError(), RuntimeError("lost"), ValueError()])
def test_a_counter_that_can_no_longer_be_read_leaves_no_figure(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Iterator[Any] = iter([1, error, 9])

    def read() -> int:
        found = next(answers)
        if isinstance(found, Exception):
            raise found
        return int(found)

    count_with(monkeypatch, Counter("package", read, 10))
    with Meter(CPU) as meter:
        meter.sample()
    assert meter.joules is None


def test_counters_that_only_root_may_read_are_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = powercap(tmp_path / "powercap", monkeypatch)
    for zone in ZONES:
        (folder / zone / "energy_uj").unlink()
        (folder / zone / "energy_uj").mkdir()  # cannot be read, by root either
    with Meter(CPU) as meter:
        pass
    assert meter.joules is None
    assert energy.note(CPU, None) == "this machine shows no counter of energy"


def test_a_machine_without_counters_has_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy, "POWERCAP", tmp_path / "missing")
    assert energy.counters(CPU) == ()
    assert energy.counters(torch.device("mps")) == ()


class FakeNvmlError(Exception):
    pass


def install_nvml(monkeypatch: pytest.MonkeyPatch, millijoules: Callable[[], int]) -> None:
    """Make the part of NVIDIA's library that is used, and a GPU that has an identity."""
    library = ModuleType("pynvml")
    known = {"GPU-abc": "handle"}

    def handle(uuid: str) -> str:
        if uuid not in known:
            raise FakeNvmlError
        return known[uuid]

    library.__dict__.update(
        NVMLError=FakeNvmlError,
        nvmlInit=lambda: None,
        nvmlDeviceGetHandleByUUID=handle,
        nvmlDeviceGetTotalEnergyConsumption=lambda found: millijoules(),
    )
    monkeypatch.setitem(sys.modules, "pynvml", library)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid="abc"))


def test_a_gpu_is_counted_beside_its_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = powercap(tmp_path / "powercap", monkeypatch)
    install_nvml(monkeypatch, ticking(2000))
    energy.counters(GPU)  # looks whether the counter can be read, which moves this one
    with Meter(GPU) as meter:
        show(folder, "intel-rapl:0", 6_000_000)
    assert meter.joules == 1 + 2
    assert "by the counters of processor, memory and GPU," in energy.note(GPU, meter.joules)


def test_a_gpu_without_a_counter_is_not_counted_by_its_processor_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    powercap(tmp_path / "powercap", monkeypatch)

    def unsupported() -> int:
        raise FakeNvmlError

    install_nvml(monkeypatch, unsupported)
    assert energy.counters(GPU) == ()


def test_without_nvidias_library_a_gpu_is_not_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    powercap(tmp_path / "powercap", monkeypatch)
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert energy.counters(GPU) == ()


@pytest.mark.parametrize(
    ("parts", "expected"), [([1.0, 2.0], 3.0), ([1.0, None], None), ([None, 1.0], None), ([], 0)]
)
def test_a_sum_is_not_known_when_a_part_is_not(parts: list[float | None], expected: float | None) -> None:
    assert energy.total(parts) == expected


def test_training_counts_every_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    count_with(monkeypatch, Counter("package", ticking(3_000_000)))
    fitted = fit(epochs=4)
    assert fitted.energy_joules == 4 * 3
    assert fitted.energy_note.startswith("by the counters of processor,")


def fit(**changes: Any) -> train.FitResult:
    chosen = tiny.settings(**changes)
    build = tiny.network if chosen.model == "custom_cnn" else tiny.transfer_network
    return train.fit(build(chosen), tiny.images(chosen), chosen, tiny.run(Path.cwd()), tiny.CPU)


def test_energy_of_a_killed_run_is_the_sum_over_its_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(checkpoint, "SELDOM", 0)
    count_with(monkeypatch, Counter("package", ticking(3_000_000)))
    with monkeypatch.context() as patched:
        kill_after(2, patched)
        with pytest.raises(KilledError):
            fit(epochs=4)
    count_with(monkeypatch, Counter("package", ticking(5_000_000)))
    assert fit(epochs=4).energy_joules == 2 * 3 + 2 * 5


@pytest.mark.parametrize("blind", [0, 1])
def test_energy_of_a_run_with_an_uncounted_part_is_not_known(
    blind: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    parts = [(Counter("package", ticking(3_000_000)),), (Counter("package", ticking(3_000_000)),)]
    parts[blind] = ()
    count_with(monkeypatch, *parts[0])
    with monkeypatch.context() as patched:
        kill_after(2, patched)
        with pytest.raises(KilledError):
            fit(epochs=4)
    count_with(monkeypatch, *parts[1])
    found = fit(epochs=4)
    assert found.energy_joules is None
    reasons = {0: "not known for all parts of the run", 1: "this machine shows no counter of energy"}
    assert found.energy_note == reasons[blind]


@pytest.mark.parametrize("mode", ["linear_probe", "fine_tune"])
def test_features_count_in_full_for_a_run_that_finds_them_computed(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    count_with(monkeypatch, Counter("package", ticking(3_000_000)))
    changes = {"model": "resnet18", "mode": mode, "epochs": 2}
    first = fit(**changes)
    heads = tiny.settings(**changes).head_epochs if mode == "fine_tune" else 0
    assert first.energy_joules == 3 * (2 + 2 + heads)  # features of train and val; epochs; those of the head
    tiny.run(Path.cwd()).checkpoint_path.unlink()
    assert fit(**changes).energy_joules == first.energy_joules


def test_kept_features_of_which_no_energy_is_known_leave_no_figure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    changes = {"model": "resnet18", "mode": "linear_probe", "epochs": 2}
    count_with(monkeypatch)
    fit(**changes)
    tiny.run(Path.cwd()).checkpoint_path.unlink()
    count_with(monkeypatch, Counter("package", ticking(3_000_000)))
    assert fit(**changes).energy_joules is None


def test_features_keep_what_they_cost(tmp_path: Path) -> None:
    path = tmp_path / "features.safetensors"
    for joules in (None, 12.5):
        features.write(path, features.Features(torch.ones(2, 3), 1.5, joules))
        found = features.read(path)
        assert found is not None
        assert (found.seconds, found.joules) == (1.5, joules)


def test_timings_bear_the_energy(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = tiny.settings()
    fitted = train.FitResult(None, 1, "network", "", 1.0, energy_joules=7.0, energy_note="by counters")  # type: ignore[arg-type]
    predictions = SimpleNamespace(seconds=1.0)
    timings = evaluate._timings(
        tiny.network(chosen), tiny.images(chosen), chosen, fitted, predictions, tiny.CPU
    )
    assert (timings.energy_joules, timings.energy_note) == (7.0, "by counters")
