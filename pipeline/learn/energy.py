"""How much energy training takes, from counters that the machine keeps itself.

Linux shows the counters of the processor (RAPL) below ``/sys/class/powercap``; NVIDIA's library
(NVML) those of its GPUs. Both count whatever runs there, idle power included, and nothing else of
the machine. Nothing is estimated from type plates: where no counter may be read there is no figure.

Libraries were looked at in November 2026: zeus (0.16) brings seven packages with it and codecarbon (3.3)
fifteen, for the same counters that these lines read.
"""

# No result depends on this module: it is no part of a run's identity.

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType

import torch

POWERCAP = Path("/sys/class/powercap")
OFTEN = 20.0  # seconds between readings: some processors' counters start again after a minute at full load


@dataclass(frozen=True)
class Counter:
    """A counter of microjoules that only rises, but starts again at 0 after ``largest`` if that is given.

    ``read`` raises OSError or RuntimeError where the counter cannot be read.
    """

    part: str  # what it counts: package, memory, gpu
    read: Callable[[], int]
    largest: int | None = None


class Meter:
    """Counts the energy of a stretch of work: ``with Meter(device) as meter: ...``, then ``meter.joules``.

    ``joules`` is None where the machine has no counter for the device, or it could not be read
    throughout.
    """

    def __init__(self, device: torch.device):
        self.counters = counters(device)
        self.microjoules: int | None = 0 if self.counters else None
        self._done, self._lock = Event(), Lock()
        self._thread = Thread(target=self._watch, name="energy", daemon=True)

    @property
    def joules(self) -> float | None:
        return None if self.microjoules is None else self.microjoules / 1e6

    def __enter__(self) -> "Meter":
        if self.counters:
            self._last = self._read()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.counters:
            self._done.set()
            self._thread.join()
            self.sample()

    def _watch(self) -> None:
        """Read often enough that no counter can start again twice between two readings."""
        while not self._done.wait(OFTEN):
            self.sample()

    def sample(self) -> None:
        """Add what the counters rose since they were read last."""
        with self._lock:
            now = self._read()
            for counter, before, after in zip(self.counters, self._last, now, strict=True):
                used = _rise(counter, before, after)
                if used is None or self.microjoules is None:
                    self.microjoules = None
                else:
                    self.microjoules += used
            self._last = now

    def _read(self) -> list[int | None]:
        return [_reading(counter) for counter in self.counters]


def _reading(counter: Counter) -> int | None:
    try:
        return counter.read()
    except (OSError, ValueError, RuntimeError):
        return None


def _rise(counter: Counter, before: int | None, after: int | None) -> int | None:
    if before is None or after is None:
        return None
    if after >= before:
        return after - before
    return None if counter.largest is None else counter.largest - before + after


def total(parts: Iterable[float | None]) -> float | None:
    """Return the sum of parts, None when one of them is not known."""
    found = list(parts)
    known = [part for part in found if part is not None]
    return sum(known) if len(known) == len(found) else None


def note(device: torch.device, joules: float | None) -> str:
    """Return what was counted, and how well; or why there is no figure."""
    found = counters(device)
    if joules is None:
        return "not known for all parts of the run" if found else "this machine shows no counter of energy"
    names = {"package": "processor", "memory": "memory", "gpu": "GPU"}
    parts = list(dict.fromkeys(names[counter.part] for counter in found))
    counted = " and ".join(filter(None, [", ".join(parts[:-1]), parts[-1]]))
    return (
        f"by the counters of {counted}, which are good to about 5 % over seconds; they hold all that ran "
        "there in that time, idle power included, but not the rest of the machine"
    )


@cache
def counters(device: torch.device) -> tuple[Counter, ...]:
    """Return the counters that can be read now; none where the device itself has none."""
    processor = tuple(_processor(POWERCAP))
    if device.type == "cpu":
        return processor
    gpu = tuple(_gpu(device)) if device.type == "cuda" else ()
    return (*processor, *gpu) if gpu else ()


def _processor(folder: Path) -> Iterable[Counter]:
    """Yield the counters of each processor package, and of memory beside it.

    A package's counter holds those of its cores; "psys" would count the packages again.
    """
    for zone in sorted(folder.glob("intel-rapl:*")):  # AMD's processors are listed under this name too
        try:
            name = (zone / "name").read_text(encoding="ascii").strip()
            largest = int((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        except (OSError, ValueError):
            continue
        part = "package" if name.startswith("package") else "memory" if name == "dram" else None
        counter = Counter(part or "", _file_reader(zone / "energy_uj"), largest)
        if part and _reading(counter) is not None:  # since 2020 most systems let only root read it
            yield counter


def _file_reader(path: Path) -> Callable[[], int]:
    return lambda: int(path.read_text(encoding="ascii"))


def _gpu(device: torch.device) -> Iterable[Counter]:
    """Yield the counter of an NVIDIA GPU, where its library is installed and the GPU has one."""
    try:
        import pynvml
    except ImportError:
        return
    try:
        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except (pynvml.NVMLError, AttributeError):
        return

    def read() -> int:
        try:
            return 1000 * int(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))  # it counts millijoules
        except pynvml.NVMLError as error:
            raise OSError(str(error)) from None

    counter = Counter("gpu", read)
    if _reading(counter) is not None:
        yield counter
