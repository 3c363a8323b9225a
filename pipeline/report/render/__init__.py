"""Turn ``report.qmd`` and a params file into HTML and PDF, by Quarto or by the embedded renderer."""

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline.errors import InputError

Engine = Literal["quarto", "embedded"]

ENGINES: tuple[Engine, ...] = ("quarto", "embedded")
FORMATS = ("html", "pdf")
ENGINE_VARIABLE = "HEADSTART_ENGINE"
FOLDER_VARIABLE = "HEADSTART_REPORTS"  # where cells write what stands beside the report


@dataclass(frozen=True)
class Rendered:
    """The files by format ("html", "pdf"), the engine with its versions, and what was not perfect."""

    files: Mapping[str, Path]
    engine: str
    warnings: tuple[str, ...] = ()


def render(
    qmd: Path,
    params_file: Path,
    output: Path,
    formats: Sequence[str] = FORMATS,
    engine: Engine | None = None,
    runs: Sequence[Path] = (),
) -> Rendered:
    """Write ``<output>.html`` and ``<output>.pdf``.

    ``engine`` None takes Quarto when it is on the PATH. ``runs`` are the folders of the experiment's
    runs where they are made already; without, the document makes what is missing. What the cells
    print to their real stderr shows at once. Raises RenderError for a cell that fails,
    UnsupportedSyntaxError for a part of Quarto that the embedded renderer does not know, and InputError
    for arguments that cannot be.
    """
    chosen = choose_engine(engine)
    check(qmd, output, formats)
    parameters: dict[str, object] = {"params_file": _from_here(params_file)}
    if runs:
        parameters["made_runs"] = [str(folder.absolute()) for folder in runs]
    if chosen == "quarto":
        from pipeline.report.render import quarto as renderer
    else:
        from pipeline.report.render import embedded as renderer  # type: ignore[no-redef]
    name = renderer.describe()
    with tempfile.TemporaryDirectory(prefix="headstart-") as beside:
        told = {ENGINE_VARIABLE: name, FOLDER_VARIABLE: beside}
        contents, warnings = renderer.render(qmd, parameters, formats, told)
        files = {key: output.with_name(f"{output.name}.{key}") for key in contents}
        _write_all({files[key]: content for key, content in contents.items()} | _below(beside, output.parent))
    return Rendered(files, name, tuple(warnings))


def _below(folder: str, target: Path) -> dict[Path, bytes]:
    """Return what the cells wrote for machines, by where it goes: with the report, or not at all."""
    found = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {target / path.relative_to(folder): path.read_bytes() for path in found}


def choose_engine(engine: str | None = None) -> Engine:
    """Return the engine asked for, or the one that this machine has."""
    if engine is None:
        return "quarto" if shutil.which("quarto") else "embedded"
    for known in ENGINES:
        if engine == known:
            if known == "quarto" and not shutil.which("quarto"):
                raise InputError(
                    "Quarto is not on the PATH; install it from quarto.org, or use --engine embedded."
                )
            return known
    raise InputError(f"engine is {engine!r}; it must be one of {', '.join(ENGINES)}.")


def results_path(experiment_name: str) -> Path:
    """Return where a report's numbers stand for machines, beside the report."""
    return Path(os.environ.get(FOLDER_VARIABLE, "reports")) / experiment_name / "results.json"


def engine_name() -> str:
    """Return what renders the document that runs this cell, as the report's footer says it.

    ``render`` tells its cells; under bare ``quarto render`` the kernel's environment does.
    """
    if name := os.environ.get(ENGINE_VARIABLE):
        return name
    version = Path(os.environ.get("QUARTO_SHARE_PATH", "")) / "version"
    if "QUARTO_SHARE_PATH" in os.environ and version.is_file():
        return f"Quarto {version.read_text(encoding='utf-8').strip()}"
    return "Quarto" if "QUARTO_BIN_PATH" in os.environ else "no renderer"


def check(qmd: Path, output: Path, formats: Sequence[str]) -> None:
    """Raise InputError for what cannot be rendered or written; makes the folder of the output."""
    if not qmd.is_file():
        raise InputError(f"{qmd}: no such file; run this in Headstart's folder.")
    for name in formats:
        if name not in FORMATS:
            raise InputError(f"format is {name!r}; it must be one of {', '.join(FORMATS)}.")
    if not formats:
        raise InputError(f"no format is given; give at least one of {', '.join(FORMATS)}.")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise _unwritable(output.parent, error) from None


def _from_here(params_file: Path) -> str:
    """Return the params file as cells see it: they run where the command does, as do its relative paths."""
    path, here = params_file.resolve(), Path.cwd().resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def _write_all(contents: Mapping[Path, bytes]) -> None:
    """Write files whole, all of them or none, so that no old one stands beside a new one."""
    partials = {path: path.with_name(f".{path.name}.{os.getpid()}.partial") for path in contents}
    path = Path()
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            partials[path].write_bytes(content)
        for path, partial in partials.items():
            partial.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from None
    finally:
        for partial in partials.values():
            partial.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: cannot be written: {error.strerror}; free some space there, or set the rights."
    )
