"""The command line: parse, call, print. Exit codes: 0 done, 1 a run failed, 2 bad input."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from pipeline import __version__
from pipeline.errors import HeadstartError, InputError, one_line

if TYPE_CHECKING:
    from pipeline.execution import Options
    from pipeline.experiment import Experiment
    from pipeline.record import RunRecord

INTERRUPTED = 130
CLOSED_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    if options.offline:
        os.environ["HEADSTART_OFFLINE"] = "1"
    try:
        code = int(options.command(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # who reads the output, as head does, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except HeadstartError as error:
        if options.debug:
            raise
        print(f"headstart: {one_line(error, 2000)}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("headstart: stopped; the same command goes on from the last finished epoch.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if options.debug:
            raise
        print(f"headstart: {one_line(_system_error(error))}", file=sys.stderr)
        return HeadstartError.exit_code


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    remedy = "Free space or set the rights, then run again; whole runs are kept."
    return f"{where}{error.strerror or error}. {remedy}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headstart", description="Own CNN or pretrained network? A report answers."
    )
    parser.add_argument("--version", action="version", version=f"headstart {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    _add_run(commands)
    _add_render(commands)
    _add_report(commands)
    _add_why(commands)
    _add_diff(commands)
    _add_clean(commands)
    _add_doctor(commands)
    return parser


Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _command(commands: Commands, name: str, call: object, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=call)
    parser.add_argument(
        "--offline", action="store_true", help="forbid every connection; say what would be fetched"
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    return parser


def _add_params(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "params", nargs="?", default="params/demo.yaml", help="params file (default: %(default)s)"
    )


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--jobs", type=_count, default=1, metavar="N", help="runs at a time (default: 1)")
    parser.add_argument("--scheduler", metavar="URL", help="run on a Dask cluster, as tcp://host:8786")


def _add_render_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--engine", choices=("quarto", "embedded"), help="default: quarto if it is on the PATH"
    )
    parser.add_argument("--to", default="html,pdf", metavar="FORMATS", help="html, pdf or both (default)")


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; it must be a whole number of at least 1")
    return int(text)


def _add_run(commands: Commands) -> None:
    parser = _command(commands, "run", run, "train what is missing of an experiment")
    _add_params(parser)
    _add_run_options(parser)


def _add_render(commands: Commands) -> None:
    parser = _command(commands, "render", render, "write the report, training what is missing")
    _add_params(parser)
    _add_render_options(parser)


def _add_report(commands: Commands) -> None:
    parser = _command(commands, "report", report, "run, then render")
    _add_params(parser)
    _add_run_options(parser)
    _add_render_options(parser)


def _add_why(commands: Commands) -> None:
    parser = _command(commands, "why", why, "say of each run whether it is kept, or what changed")
    _add_params(parser)


def _add_diff(commands: Commands) -> None:
    parser = _command(commands, "diff", diff, "compare two reports: settings, and paired differences")
    parser.add_argument("first", help="a results.json or a params file")
    parser.add_argument("second", help="a results.json or a params file")
    parser.add_argument("--json", action="store_true", help="JSON for a machine, not Markdown for a reader")


def _add_clean(commands: Commands) -> None:
    parser = _command(commands, "clean", clean, "list and remove runs that no params file refers to")
    parser.add_argument("params", nargs="*", help="params files to keep the runs of (default: params/*.yaml)")
    parser.add_argument("--yes", action="store_true", help="remove without asking")


def _add_doctor(commands: Commands) -> None:
    parser = _command(commands, "doctor", doctor, "check this machine, and say what to do about it")
    _add_params(parser)


def run(options: argparse.Namespace) -> int:
    """``headstart run``."""
    from pipeline.execution import Options
    from pipeline.experiment import Experiment

    experiment = Experiment.from_yaml(options.params)
    return _exit_code(_records(experiment, Options(options.jobs, options.scheduler)))


def render(options: argparse.Namespace) -> int:
    """``headstart render``."""
    from pipeline.execution import Options

    return _write_report(options, Options())


def report(options: argparse.Namespace) -> int:
    """``headstart report``."""
    from pipeline.execution import Options

    return _write_report(options, Options(options.jobs, options.scheduler))


def _records(experiment: "Experiment", how: "Options") -> "list[RunRecord]":
    """Return the runs of an experiment, made where they are missing; say which failed."""
    from pipeline import execution

    records = execution.run(experiment, how)
    failed = [record for record in records if not record.complete]
    for record in failed:
        print(f"headstart: {execution.describe_failure(record, len(records) - len(failed))}", file=sys.stderr)
    return records


def _exit_code(records: "list[RunRecord]") -> int:
    return 0 if all(record.complete for record in records) else 1


def _write_report(options: argparse.Namespace, how: "Options") -> int:
    """Make the runs and write the report: runs that fail stand in it, and in the exit code."""
    from pipeline import execution, warm
    from pipeline.experiment import Experiment
    from pipeline.report import rendering

    formats, experiment = _formats(options.to), Experiment.from_yaml(options.params)
    document, output = project_root() / "report.qmd", Path("reports") / experiment.name
    rendering.check(document, output, formats)
    embedded = rendering.choose_engine(options.engine) == "embedded"  # Quarto starts its kernel itself
    with warm.kernels(warm.REPORTING) if embedded else nullcontext():
        records = _records(experiment, how)
        execution.hand_over(records)
        rendered = rendering.render(document, Path(options.params), output, formats, options.engine)
    for warning in rendered.warnings:
        print(f"headstart: {warning}", file=sys.stderr)
    for path in rendered.files.values():
        print(path)
    print(f"Rendered by {rendered.engine}.")
    return _exit_code(records)


def why(options: argparse.Namespace) -> int:
    """``headstart why``."""
    from pipeline.experiment import Experiment
    from pipeline.identity import reasons

    for reason in reasons(Experiment.from_yaml(options.params)):
        print(f"{reason.run_id}: {reason.text}")
    return 0


def diff(options: argparse.Namespace) -> int:
    """``headstart diff``."""
    from pipeline.report.diff import diff as compare

    found = compare(options.first, options.second)
    print(found.to_json() if options.json else found.to_markdown())
    return 0


def clean(options: argparse.Namespace) -> int:
    """``headstart clean``."""
    from pipeline.cleaning import unreferenced

    found = unreferenced([Path(p) for p in options.params] or sorted(Path("params").glob("*.yaml")))
    for item in found:
        print(f"{item.size_bytes / 1e6:10.1f} MB  {item.path}")
    total = sum(item.size_bytes for item in found) / 1e6
    folders = "1 folder" if len(found) == 1 else f"{len(found)} folders"
    print(f"{folders}, {total:.1f} MB, that no params file refers to.")
    if found and (options.yes or _confirmed(f"Remove {folders}? [y/N] ")):
        for item in found:
            item.remove()
        print("Removed.")
    return 0


def _confirmed(question: str) -> bool:
    try:
        return input(question).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def doctor(options: argparse.Namespace) -> int:
    """``headstart doctor``."""
    from pipeline.doctor import examine

    findings = list(examine(Path(options.params)))
    for finding in findings:
        print(f"{finding.mark}  {finding.name}: {finding.text}")
    return 0 if all(finding.ok for finding in findings) else 1


def _formats(text: str) -> tuple[str, ...]:
    formats = tuple(part.strip() for part in text.split(","))
    if unknown := [part for part in formats if part not in ("html", "pdf")]:
        raise InputError(f"--to is {text!r}: {unknown[0]!r} is unknown; it must be html, pdf or html,pdf.")
    return formats


def project_root() -> Path:
    """Return the folder that holds ``report.qmd``: this one, or that of the source checkout."""
    for folder in (Path(), Path(__file__).parent.parent):
        if (folder / "report.qmd").is_file():
            return folder
    raise InputError(f"{Path.cwd()}: no report.qmd here; change to the folder of your Headstart checkout.")
