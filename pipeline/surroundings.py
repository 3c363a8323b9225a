"""What of the user's own surroundings reaches the processes of a run: what its identity does not hold, not.

Python reads PYTHON* variables, startup files of IPython, ``usercustomize`` and modules that lie in the
current folder. All of them can change what a run does, and none is part of its identity.
"""

import os
import site
import sys
from collections.abc import Mapping
from importlib import util
from pathlib import Path

ROOT = Path(__file__).parent.parent
# Threads that wait for each other spin; on cores that something else uses too, that is time lost. Measured
# on two cores, custom_cnn in training: 5 % slower on a quiet machine, 3 to 5 times faster on a busy one.
THREAD_SETTINGS = {"GOMP_SPINCOUNT": "1000"}
# What a kernel draws with; a backend of the user's own, as Qt5Agg, may not be there, or open windows.
DRAWING = {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
# What has fp32 be multiplied as bf16 or TF32, though a run's identity and the report say fp32. NVIDIA's
# containers set one of them, and Arm's guides name another.
ARITHMETIC = (
    "DNNL_DEFAULT_FPMATH_MODE",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
INSTALLED = ("*.dist-info", "*.egg-info", "*.egg")
NEEDED = ("torch", "numpy", "pandas", "papermill", "ipykernel")


def own_environment(given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables for a Python process of ours, from those given, or those of this process."""
    given = os.environ if given is None else given
    kept = {
        name: value
        for name, value in given.items()
        if not name.startswith("PYTHON") and name not in ARITHMETIC
    }
    own = {"PYTHONPATH": os.pathsep.join(_folders_of_modules(given)), "PYTHONSAFEPATH": "1"}
    if not _needs_user_site():
        own["PYTHONNOUSERSITE"] = "1"
    return {**THREAD_SETTINGS, **kept, **DRAWING, **own}


def _folders_of_modules(given: Mapping[str, str]) -> list[str]:
    """Return this folder, and those of PYTHONPATH that packages are installed in, as on clusters."""
    folders = [folder for folder in given.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return [str(ROOT), *(folder for folder in folders if _has_packages(Path(folder)))]


def _has_packages(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in INSTALLED)


def _needs_user_site() -> bool:
    """Whether packages that runs need were installed with ``pip install --user``."""
    if not site.ENABLE_USER_SITE:
        return False
    origins = [found.origin or "" for name in NEEDED if (found := util.find_spec(name))]
    return any(origin.startswith(site.getusersitepackages()) for origin in origins)


def with_own_arithmetic() -> None:
    """Keep from PyTorch in this process what it has not read yet and a run's identity does not hold."""
    for name in ARITHMETIC:
        os.environ.pop(name, None)


def with_standard_streams() -> None:
    """Let nothing that is printed end this process: open what is closed, replace what has no encoding."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 (for as long as the process)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
