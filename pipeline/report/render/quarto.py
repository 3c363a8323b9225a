"""Run Quarto with this environment's Python, live progress and errors in one line.

Quarto writes beside the document while it works, by names that may be taken there: by another command
(quarto-cli#6116), by somebody's ``report.ipynb`` (#4802), by the ``report_files`` of a page that a browser
saved, where it fails. So it works in a folder of its own that looks like the document's.
"""

import codecs
import functools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import HeadstartError, RenderError, one_line
from pipeline.kernel import write_kernelspec
from pipeline.report.render import notebook
from pipeline.report.render.options import PROJECT_FILE

TARGETS = {"html": "html", "pdf": "typst"}
WRITTEN = ("quarto_ipynb", "ipynb", "knit.md", "md", "html", "typ", "pdf")  # beside the document, by Quarto
ANSI = re.compile(r"\x1b\[[0-9;]*m")
FAILED_CELL = re.compile(r"following cell:\n-+\n(?P<source>.*?)\n-+\n(?P<traceback>.*)", re.DOTALL)
EXCEPTION = re.compile(r"^\w[\w.]*(?:Error|Exception|Interrupt|Exit|Warning)\b.*", re.MULTILINE)
ERROR = re.compile(r"^ERROR: *(.+)", re.MULTILINE)


@functools.cache
def describe() -> str:
    """Return "Quarto 1.10.18"."""
    done = subprocess.run(["quarto", "--version"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(f"quarto --version failed: {one_line(done.stderr)}; use --engine embedded.")
    return f"Quarto {done.stdout.strip()}"


def render(
    qmd: Path, parameters: Mapping[str, Any], formats: Sequence[str], environment: Mapping[str, str]
) -> tuple[dict[str, bytes], list[str]]:
    """Return the content of each format ("html", "pdf"), and no warnings; each runs the cells again.

    Raises RenderError that quotes the failing cell's error, or Quarto's own.
    """
    contents = {}
    with tempfile.TemporaryDirectory(prefix="headstart-") as name:
        folder = Path(name).resolve()
        params = folder / "params.yaml"
        params.write_text(json.dumps(dict(parameters)), encoding="utf-8")
        write_kernelspec(folder)
        work = _likeness(qmd, folder / "project")
        own = {"QUARTO_PYTHON": sys.executable, "JUPYTER_PATH": _jupyter_path(name), **environment}
        for key in formats:
            (folder / key).mkdir()
            command = ["quarto", "render", qmd.name, "--to", TARGETS[key], "--output", f"report.{key}"]
            command += ["--execute-params", str(params), "--output-dir", str(folder / key)]
            command += ["--execute-dir", str(Path.cwd())]
            _run(command, qmd, work, os.environ | own)
            contents[key] = (folder / key / f"report.{key}").read_bytes()
    return contents, []


def _likeness(qmd: Path, folder: Path) -> Path:
    """Make a folder that looks like the document's: its own files are copies, all others links."""
    folder.mkdir()
    taken = {f"{qmd.stem}.{ending}" for ending in WRITTEN}
    for path in qmd.resolve().parent.iterdir():
        if path.name in (qmd.name, PROJECT_FILE):
            shutil.copyfile(path, folder / path.name)
        elif not path.name.startswith((".", f"{qmd.stem}_files")) and path.name not in taken:
            (folder / path.name).symlink_to(path, target_is_directory=path.is_dir())
    return folder


def _jupyter_path(folder: str) -> str:
    """Return a JUPYTER_PATH on which ``python3`` is first of all this Python."""
    return os.pathsep.join(path for path in (folder, os.environ.get("JUPYTER_PATH")) if path)


def _run(command: list[str], qmd: Path, folder: Path, environment: Mapping[str, str]) -> None:
    """Run Quarto in a folder, showing what it prints as it comes."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        log = _shown(process)
    if process.returncode:
        raise RenderError(explain(ANSI.sub("", log), qmd))


def _shown(process: subprocess.Popen[bytes]) -> str:
    """Pass the output of a process on to stderr and return it."""
    assert process.stdout is not None
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    log = []
    while piece := os.read(process.stdout.fileno(), 65536):
        log.append(decoder.decode(piece))
        sys.stderr.write(log[-1])
        sys.stderr.flush()
    return "".join(log)


def explain(log: str, qmd: Path) -> str:
    """Return the reason for a failure in one line, from what Quarto printed."""
    failed = FAILED_CELL.search(log)
    if failed:
        exceptions = EXCEPTION.findall(failed["traceback"])
        reason = exceptions[-1] if exceptions else failed["traceback"]
        return f"{_place(qmd, failed['source'])} failed: {one_line(reason)}"
    errors = ERROR.findall(log)
    return f"{qmd.name}: Quarto failed: {one_line(errors[0] if errors else log[-400:])}"


def _place(qmd: Path, source: str) -> str:
    """Return "report.qmd:42: cell 'fig-x'" for the cell with a source."""
    try:
        cells = notebook.read(qmd).cells
    except HeadstartError:
        return f"{qmd.name}: a cell"
    found = next((cell for cell in cells if cell.source.strip() == source.strip()), None)
    return f"{qmd.name}:{found.metadata.line}: {notebook.title(found)}" if found else f"{qmd.name}: a cell"
