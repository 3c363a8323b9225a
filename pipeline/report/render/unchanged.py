"""Whether a report is of this very state already: then ``headstart report`` leaves it as it is.

What a report is made of and the report itself are known by the names, sizes and times of their files, as
``make`` does; ``headstart render`` writes it anew in any case.
"""

import os
import platform
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import pipeline
from pipeline.files import CACHE, digest, read_kept, write_kept
from pipeline.report.render import Rendered

if TYPE_CHECKING:
    from pipeline.experiment import Experiment

DOCUMENT = (".qmd", ".yml", ".yaml", ".lua", ".css", ".scss", ".typ", ".bib", ".csl", ".html", ".local")
FONTS = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.fonts", "~/.local/share/fonts")


def state(
    document: Path, output: Path, formats: Sequence[str], asked: "Experiment", runs: Iterable[Path]
) -> str:
    """Return a digest of all that a report is made of, today, and of the report.

    That is the document and what lies beside it, Headstart's code, the installed packages and fonts, what
    the params file asks for, and the runs' folders.
    """
    beside = [path for path in document.absolute().parent.iterdir() if path.suffix in DOCUMENT]
    code = [path for path in _below(Path(pipeline.__file__).parent) if path.suffix != ".pyc"]
    fonts = [Path(folder) for place in FONTS for folder, _, _ in os.walk(Path(place).expanduser())]
    packages = [Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("platlib"))]
    report = [*output.parent.glob(f"{output.name}.*"), *_below(output)]
    every = [*beside, *code, *fonts, *packages, *report, *(path for run in runs for path in _below(run))]
    today = [date.today().isoformat(), platform.python_version(), os.environ.get("PATH", "")]
    return digest([today, list(formats), asked.model_dump_json(), sorted(map(_known_by, every))])


def _below(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _known_by(path: Path) -> tuple[str, int, int]:
    try:
        known = path.stat()
    except OSError:  # it was just removed
        return str(path.absolute()), -1, -1
    return str(path.absolute()), known.st_size, known.st_mtime_ns


def kept(params_file: Path) -> tuple[str, Rendered] | None:
    """Return the state of the last report of a params file, and what was rendered; None of none."""
    content = read_kept(_place(params_file))
    if content is None:
        return None
    files = {key: Path(path) for key, path in content["files"].items()}
    return content["state"], Rendered(files, content["engine"])


def keep(params_file: Path, found: str, rendered: Rendered) -> None:
    """Note the state of a report that was written, unless there was something to warn of."""
    if not rendered.warnings:
        files = {key: str(path) for key, path in rendered.files.items()}
        write_kept(_place(params_file), {"state": found, "files": files, "engine": rendered.engine})


def _place(params_file: Path) -> Path:
    return CACHE / "reports" / f"{digest(str(params_file.absolute()))[:16]}.json"
