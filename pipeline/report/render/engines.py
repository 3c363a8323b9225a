"""Which renderer writes a report: Quarto, where this machine has one that can, or the embedded one."""

import re
import shutil
import subprocess
from functools import cache
from typing import Any, Literal

from pipeline.errors import InputError, one_line

Engine = Literal["quarto", "embedded"]

ENGINES: tuple[Engine, ...] = ("quarto", "embedded")
QUARTO_NEEDED = (1, 9)  # from where on its PDF can be accessible
VERSION_SECONDS = 60.0  # Quarto's wrapper from PyPI downloads it when it is asked first


def choose_engine(engine: str | None = None) -> Engine:
    """Return the engine asked for, or the one that this machine has."""
    if engine is None:
        return "quarto" if shutil.which("quarto") and not unfit_quarto() else "embedded"
    for known in ENGINES:
        if engine == known:
            if known == "quarto" and not shutil.which("quarto"):
                raise InputError(
                    "Quarto is not on the PATH; install it from quarto.org, or use --engine embedded."
                )
            if known == "quarto" and (unfit := unfit_quarto()):
                raise InputError(f"{unfit}. Update it from quarto.org, or use --engine embedded.")
            return known
    raise InputError(f"engine is {engine!r}; it must be one of {', '.join(ENGINES)}.")


def unfit_quarto() -> str:
    """Return why the Quarto on the PATH cannot write the report; an empty string where it can, or is none."""
    program = shutil.which("quarto")
    return _unfit(program) if program else ""


@cache
def _unfit(program: str) -> str:
    asked: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "errors": "replace"}
    try:
        done = subprocess.run([program, "--version"], **asked, timeout=VERSION_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:  # as one made for another processor
        return f"{program} does not run: {one_line(error, 100)}"
    version = re.match(r"(\d+)\.(\d+)", done.stdout)
    if done.returncode or not version:
        return f"{program} does not say which Quarto it is: {one_line(done.stdout + done.stderr, 100)}"
    if tuple(map(int, version.groups())) < QUARTO_NEEDED:
        needed = ".".join(map(str, QUARTO_NEEDED))
        return f"{program} is Quarto {done.stdout.strip()}, and the report's PDF needs {needed} or later"
    return ""
