"""``headstart doctor``: what this machine has, what it lacks, and what to do about it."""

import importlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import HeadstartError, one_line
from pipeline.files import free_disk

NEEDED_DISK_BYTES = 5_000_000_000
NEEDED_TORCH = (2, 14)
MOST_DIFFERENCE = 0.01  # of a GPU's answer and gradients from the CPU's: rounding is a tenth of that


@dataclass(frozen=True)
class Finding:
    """One check: ``ok`` is False only for what keeps Headstart from working."""

    name: str
    ok: bool
    text: str
    remark: bool = False

    @property
    def mark(self) -> str:
        return "FAIL" if not self.ok else "note" if self.remark else "ok  "


def examine(params: Path) -> Iterator[Finding]:
    """Yield every check in turn; one that breaks is a finding, not the end."""
    checks: list[Callable[[], Finding]] = [
        _python,
        _torch,
        _kernel,
        _quarto,
        _pandoc,
        _typst,
        _gpu,
        _arithmetic,
        _weights,
        lambda: _data(params),
        _disk,
    ]
    for check in checks:
        try:
            yield check()
        except Exception as error:  # noqa: BLE001 (whatever breaks here is what the user asks about)
            name = getattr(check, "__name__", "data").strip("_<>")
            yield Finding(name, False, f"{type(error).__name__}: {one_line(error)}")


def _python() -> Finding:
    ok = sys.version_info >= (3, 11)
    hint = "" if ok else "; 3.11 or later is needed: make a new environment with it"
    return Finding("Python", ok, f"{sys.version.split()[0]} at {sys.executable}{hint}")


def _torch() -> Finding:
    torch, torchvision = (importlib.metadata.version(name) for name in ("torch", "torchvision"))
    if tuple(int(part) for part in torch.split(".")[:2]) < NEEDED_TORCH:
        return Finding("torch", False, f"{torch} is too old: pip install 'torch>=2.14' 'torchvision>=0.29'")
    try:
        importlib.import_module("torchvision.ops")
    except (ImportError, RuntimeError) as error:
        return Finding(
            "torch", False, f"{torch} and torchvision {torchvision} are no pair ({one_line(error, 80)}): "
            "pip install -U torch torchvision, both at once"
        )  # fmt: skip
    return Finding("torch", True, f"{torch} with torchvision {torchvision}")


def _kernel() -> Finding:
    from pipeline.kernel import check_kernel

    try:
        check_kernel()
    except HeadstartError as error:
        return Finding("kernel", False, str(error))
    return Finding("kernel", True, f"notebooks run in {sys.executable}")


def _quarto() -> Finding:
    from pipeline.report.render.engines import unfit_quarto

    quarto = shutil.which("quarto")
    if quarto is None:
        return Finding(
            "Quarto",
            True,
            "not on the PATH; the embedded renderer writes the same report. To use Quarto: "
            "conda install -c conda-forge quarto, or its installer from quarto.org",
            remark=True,
        )
    if unfit := unfit_quarto():
        return Finding("Quarto", True, f"{unfit}; the embedded renderer writes the same report", remark=True)
    version = subprocess.run([quarto, "--version"], capture_output=True, text=True, timeout=60, check=False)
    return Finding("Quarto", True, f"{version.stdout.strip()} at {quarto}")


def _pandoc() -> Finding:
    import pypandoc

    return Finding("Pandoc", True, f"{pypandoc.get_pandoc_version()}, from pypandoc-binary")


def _typst() -> Finding:
    return Finding("Typst", True, f"{importlib.metadata.version('typst')}, from PyPI")


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        return _agreement(torch.device("cuda"), torch.cuda.get_device_name(0))
    if torch.backends.mps.is_available():
        return _agreement(torch.device("mps"), "Apple's, by MPS")
    return Finding(
        "GPU", True, "none; training runs on the CPU: keep image_size and epochs small", remark=True
    )


def _agreement(device: Any, name: str) -> Finding:
    """Compare one batch on a GPU with the CPU."""
    from pipeline.learn.arithmetic import difference

    found = difference(device)
    if not found <= MOST_DIFFERENCE:
        text = f"{name}: one batch differs from the CPU's by {found:.2g} of its length: set device: cpu"
        return Finding("GPU", False, f"{text}, or update PyTorch and the driver")
    return Finding("GPU", True, f"{name}; one batch agrees with the CPU's")


def _arithmetic() -> Finding:
    """Compare small layers in bf16 with fp32; only where runs here would use bf16."""
    import torch

    from pipeline.learn import arithmetic
    from pipeline.learn.device import has_fast_bf16

    if not has_fast_bf16(torch.device("cpu")):
        return Finding("arithmetic", True, "this processor trains in fp32")
    wrong = [*arithmetic.wrong(sides=(1, 2, 3, 8), kernels=(1, 3)), *arithmetic.wrong_layers(sides=(2, 8))]
    if wrong:
        text = f"bf16 gives a wrong {wrong[0]} (and {len(wrong) - 1} more): set precision: fp32"
        return Finding("arithmetic", False, text)
    return Finding("arithmetic", True, "convolutions and other layers in bf16 agree with fp32")


def _weights() -> Finding:
    import torch

    folder = Path(torch.hub.get_dir()) / "checkpoints"
    files = sorted(path.name for path in folder.glob("*.pth")) if folder.is_dir() else []
    cached = (
        f"{len(files)} files in {folder}"
        if files
        else f"none in {folder} yet; they are downloaded when needed"
    )
    return Finding("weights", True, f"efficientnet_lite0 comes with its package; torchvision's: {cached}")


def _data(params: Path) -> Finding:
    from pipeline.experiment import Experiment
    from pipeline.learn.data import sources

    experiment = Experiment.from_yaml(params)
    try:
        sources.check(experiment.runs[0])
    except HeadstartError as error:
        return Finding("data", False, str(error))
    return Finding("data", True, f"{experiment.runs[0].dataset}, as {params} asks")


def _disk() -> Finding:
    free = free_disk(Path.cwd())
    writable = os.access(Path.cwd(), os.W_OK)
    text = f"{free / 1e9:.0f} GB free in {Path.cwd()}"
    if not writable:
        return Finding("disk", False, f"no permission to write in {Path.cwd()}: work in a folder of yours")
    if free < NEEDED_DISK_BYTES:
        return Finding(
            "disk", True, f"{text}: little; free some, or set runs_dir to another disk", remark=True
        )
    return Finding("disk", True, text)
