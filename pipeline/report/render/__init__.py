"""Turn ``report.qmd`` and a params file into HTML and PDF, by Quarto or by the embedded renderer."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.errors import InputError
from pipeline.report.render.engines import Engine, choose_engine, unfit_quarto

if TYPE_CHECKING:
    from pipeline.experiment import Experiment

FORMATS = ("html", "pdf")
ENGINE_VARIABLE = "HEADSTART_ENGINE"
FOLDER_VARIABLE = "HEADSTART_REPORTS"  # where cells write what stands beside the report
OWNER = ".params_file"  # in a report's folder: the path from there to the params file that it is of


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
    asked: "Experiment | None" = None,
) -> Rendered:
    """Write ``<output>.html`` and ``<output>.pdf``.

    ``engine`` None takes Quarto when one that can is on the PATH. ``runs`` are the folders of the
    experiment's runs where they are made already; without, the document makes what is missing. ``asked``
    is what the params file asked for when they were begun: it may have been edited since. What the cells
    print to their real stderr shows at once. Raises RenderError for a cell that fails,
    UnsupportedSyntaxError for a part of Quarto that the embedded renderer does not know, and InputError
    for arguments that cannot be.
    """
    chosen = choose_engine(engine)
    passed_over = unfit_quarto() if engine is None else ""  # Quarto, for the embedded renderer
    check(qmd, output, formats, params_file)
    parameters: dict[str, object] = {"params_file": _from_here(params_file)}
    if runs:
        parameters["made_runs"] = [str(folder.absolute()) for folder in runs]
    if chosen == "quarto":
        from pipeline.report.render import quarto as renderer
    else:
        from pipeline.report.render import embedded as renderer  # type: ignore[no-redef]
    name = renderer.describe()
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        beside = Path(folder) / "reports"
        beside.mkdir()
        if asked:
            parameters["params_file"] = str(_kept(Path(folder), asked))
        told = {ENGINE_VARIABLE: name, FOLDER_VARIABLE: str(beside)}
        contents, warnings = renderer.render(qmd, parameters, formats, told)
        files = {key: output.with_name(f"{output.name}.{key}") for key in contents}
        found = _below(beside, output.parent)
        if found:
            found[output / OWNER] = os.path.relpath(params_file.resolve(), output.resolve()).encode()
        _write_all({files[key]: content for key, content in contents.items()} | found)
    return Rendered(files, name, (*filter(None, [passed_over]), *warnings))


def _kept(folder: Path, asked: "Experiment") -> Path:
    """Write what was asked into a folder, to be read by ``ensure``, and return its path."""
    path = folder / f"{asked.name}.json"
    path.write_text(asked.model_dump_json(), encoding="utf-8")
    return path


def _below(folder: Path, target: Path) -> dict[Path, bytes]:
    """Return what the cells wrote for machines, by where it goes: with the report, or not at all."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {target / path.relative_to(folder): path.read_bytes() for path in found}


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


def check(qmd: Path, output: Path, formats: Sequence[str], params_file: Path) -> None:
    """Raise InputError for what cannot be rendered or written; makes the folder of the output."""
    refuse_another_study(output, params_file)
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


def refuse_another_study(output: Path, params_file: Path) -> None:
    """Raise InputError where a report of this name is that of another params file, which is still there."""
    try:
        other = (output / (output / OWNER).read_text(encoding="utf-8")).resolve()
        if not params_file.is_file() or other.samefile(params_file):
            return
    except (OSError, ValueError):
        return
    raise InputError(
        f"{output}.html: is the report of {other}, which has the same name as {params_file}. "
        f"Rename one of the two, or remove {output}."
    )


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
