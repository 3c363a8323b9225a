"""What a run computes on: device, number format and threads; asking changes nothing, ``tune`` does."""

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, cast

import torch
from joblib import cpu_count
from torch import Tensor, nn

from pipeline.errors import RunError, SettingsError
from pipeline.experiment import RunSettings
from pipeline.learn import arithmetic, memory
from pipeline.learn.fast import convolutions
from pipeline.learn.fast.threads import Threads
from pipeline.learn.memory import keep_freed
from pipeline.record import Environment

Precision = Literal["fp32", "bf16", "fp16"]
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
UNORDERED = "does not have a deterministic implementation"  # in what PyTorch raises
FAST_FP16 = (7, 0)  # compute capability of the first NVIDIA GPUs with units for fp16: V100, then T4
THREADS_VARIABLE = "HEADSTART_THREADS"
FIXED_VARIABLE = "HEADSTART_THREADS_FIXED"
PACKAGES = (
    "torch",
    "torchvision",
    "numpy",
    "scikit-learn",
    "pandas",
    "papermill",
    "pillow",
    "timm",
)


@dataclass(frozen=True)
class Hardware:
    """Where and in which number format a network runs.

    ``channels_last`` keeps a pixel's channels side by side in memory: with bf16 on a CPU that is
    the difference between four times faster and slower than fp32. ``memory_before`` is what the
    process had taken before it began, in bytes.
    """

    device: torch.device
    precision: Precision
    threads: int
    channels_last: bool
    memory_before: int = 0
    deterministic: bool = False
    cores: Threads | None = None  # once it is tuned

    def autocast(self) -> torch.autocast:
        """Return a context in which matrix products and convolutions run in ``precision``."""
        return torch.autocast(
            self.device.type,
            dtype=DTYPES.get(self.precision, torch.bfloat16),
            enabled=self.precision != "fp32",
            cache_enabled=True,
        )

    def step(self) -> None:
        """Say that a batch is next: the number of threads may follow the cores that are free."""
        if self.cores is not None:
            self.cores.step()

    def threads_used(self) -> int:
        """Return how many threads most of the batches had since this was asked last."""
        return self.threads if self.cores is None else self.cores.used()

    def place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device, in the memory format that is fast there.

        On a CPU, memory that is freed is kept for the next step from now on: not while images are loaded,
        which frees what no step needs again.
        """
        if self.device.type == "cpu":
            keep_freed()
            convolutions.use_in(network, amx=has_amx())
        if self.device.type == "cpu" and self.precision == "bf16":
            arithmetic.use_in(network)
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        return network.to(self.device, memory_format=layout)  # type: ignore[call-overload]

    def place_images(self, images: Tensor) -> Tensor:
        """Move images [B, 3, S, S] to the device, in the memory format that is fast there."""
        layout = torch.channels_last if self.channels_last else torch.preserve_format
        return images.to(self.device, memory_format=layout, non_blocking=True)

    def synchronize(self) -> None:
        """Wait until the device has done what it was asked: before every reading of a clock."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    @contextmanager
    def explaining_limits(self, settings: RunSettings) -> Iterator[None]:
        """Turn what this device cannot do into a RunError that names the settings to change."""
        try:
            yield
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if UNORDERED in str(error):
                what = str(error).split(UNORDERED)[0].strip()
                raise RunError(
                    f"{settings.model}: {what} gives other numbers each time on {self.device}, and "
                    "deterministic is true. Use another model, or deterministic: false."
                ) from error
            if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
                raise
            size = f"image_size {settings.image_size}" if settings.image_size else "image_size"
            raise RunError(
                f"{settings.model}: out of memory on {self.device} with batch_size {settings.batch_size}. "
                f"Try batch_size {max(1, settings.batch_size // 2)} or a smaller {size}."
            ) from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    words = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error).lower() for w in words)


def choose(settings: RunSettings) -> Hardware:
    """Return the hardware that the settings ask for; changes nothing in this process.

    Raises SettingsError when they ask for what this machine has not.
    """
    device = _device(settings.device)
    precision = _precision(settings.precision, device)
    threads = settings.threads or _threads()
    channels_last = device.type != "mps"
    return Hardware(device, precision, threads, channels_last, memory.in_use(), settings.deterministic)


def tune(hardware: Hardware, threads: int | None = None) -> Hardware:
    """Set this process up to train on chosen hardware, and return it: threads, kernels.

    On a CPU, threads follow the cores that are free, unless ``threads`` or the user's OMP_NUM_THREADS
    fixes them; on a GPU, cuDNN tries its kernels and keeps the fastest, as image sizes do not change.
    ``deterministic`` hardware gives the same numbers again: its threads stay as many, and only kernels that
    add in one order are used.
    """
    fixed = threads is not None or hardware.deterministic or _fixed()
    cores = Threads(hardware.threads, follows=hardware.device.type == "cpu" and not fixed)
    torch.backends.cudnn.benchmark = hardware.device.type == "cuda" and not hardware.deterministic
    if hardware.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
        torch.use_deterministic_algorithms(True)
    return replace(hardware, cores=cores)


def _fixed() -> bool:
    """Whether the user's own OMP_NUM_THREADS says how many threads there are; a job's parent tells."""
    own = os.environ.get("OMP_NUM_THREADS", "") if THREADS_VARIABLE not in os.environ else ""
    return bool(own or os.environ.get(FIXED_VARIABLE))


def _device(wanted: str) -> torch.device:
    found = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if wanted == "auto":
        wanted = next(name for name, available in found.items() if available)
    if not found[wanted]:
        available = ", ".join(name for name, there in found.items() if there)
        raise SettingsError(f"device is {wanted!r}, but this machine has only {available}; use device auto.")
    return torch.device(wanted)


def _precision(wanted: str, device: torch.device) -> Precision:
    if wanted != "auto":
        return cast(Precision, wanted)
    if has_fast_bf16(device):
        return "bf16"
    return "fp16" if has_fast_fp16(device) else "fp32"


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 faster than float32, rather than imitating it."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (bool(_cpu().get("avx512_bf16")) or has_amx())


def has_fast_fp16(device: torch.device) -> bool:
    """Whether the device multiplies matrices of float16 faster than float32: some without bfloat16 do."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= FAST_FP16


def has_amx() -> bool:
    """Whether the processor multiplies whole tiles of bfloat16 at once (Intel's AMX)."""
    return bool(_cpu().get("amx_bf16"))


def _cpu() -> Mapping[str, Any]:
    """Return the processor's instructions, each True or False, and its name."""
    return torch.cpu.get_capabilities()


def _threads() -> int:
    """Return the threads that the parent process leaves to this run, else all cores it may use."""
    for variable in (THREADS_VARIABLE, "OMP_NUM_THREADS"):
        given = os.environ.get(variable, "")
        if given.isdigit() and int(given) > 0:
            return int(given)
    return cpu_count()


def environment(hardware: Hardware) -> Environment:
    """Return what a reader needs to know of the machine and software to repeat a run."""
    commit = _git("rev-parse", "HEAD")
    status = _git("status", "--porcelain", "--untracked-files=no")
    return Environment(
        git_commit=commit or None,
        git_dirty=None if not commit else bool(status),
        packages={name: version for name in PACKAGES if (version := _version(name))},
        python=platform.python_version(),
        platform=platform.platform(),
        device=_device_name(hardware.device),
        cpu=cpu_name(),
        threads=hardware.threads,
        precision=hardware.precision,
    )


def cpu_name() -> str:
    """Return the processor's name, as it gives it itself."""
    return str(_cpu().get("cpu_name", "")).strip() or platform.processor() or platform.machine()


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str:
    """Return what git says of the repository that holds this file; empty without one."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return ""  # installed as a package: a repository around it would be somebody else's
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
