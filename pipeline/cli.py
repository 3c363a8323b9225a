"""The command line: parse, call, print. Exit codes: 0 done, 1 a run failed, 2 bad input."""

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline import __version__
from pipeline.errors import HeadstartError, InputError, did_you_mean, no_room, one_line
from pipeline.surroundings import with_own_arithmetic, with_standard_streams

if TYPE_CHECKING:
    from pipeline.experiment import Experiment
    from pipeline.record import RunRecord
    from pipeline.report.render import Rendered
    from pipeline.run import Options

INTERRUPTED = 130
CLOSED_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with_standard_streams()
    with_own_arithmetic()
    options = _parser().parse_args(arguments)
    if options.no_user_code:
        os.environ["HEADSTART_NO_USER_CODE"] = "--no-user-code"
    if options.offline:
        os.environ["HEADSTART_OFFLINE"] = "--offline"
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
        print("headstart: stopped; the same command goes on from the last checkpoint.", file=sys.stderr)
        return INTERRUPTED
    except OSError as error:
        if options.debug:
            raise
        print(f"headstart: {one_line(_system_error(error))}", file=sys.stderr)
        return HeadstartError.exit_code


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    what = error.strerror or str(error)
    if not where:
        what += no_room(what)
    return f"{where}{what}. Free space or set the rights, then run again; whole runs are kept."


@dataclass(frozen=True)
class Argument:
    """One argument of a command, as argparse takes it."""

    names: tuple[str, ...]
    options: dict[str, Any]


def argument(*names: str, **options: Any) -> Argument:
    return Argument(names, options)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; it must be a whole number of at least 1")
    return int(text)


PARAMS = argument("params", nargs="?", default="params/demo.yaml", help="params file (default: %(default)s)")
RUNNING = (
    argument("--jobs", type=_count, default=1, metavar="N", help="runs at a time (default: 1)"),
    argument("--scheduler", metavar="URL", help="run on a Dask cluster, as tcp://host:8786"),
)
RENDERING = (
    argument("--engine", choices=("quarto", "embedded"), help="default: quarto if it is on the PATH"),
    argument("--to", default="html,pdf", metavar="FORMATS", help="html, pdf or both (default)"),
)
SIDE = "a report's folder, a results.json or a params file"
DIFFING = (
    argument("first", help=SIDE),
    argument("second", help=SIDE),
    argument("--json", action="store_true", help="JSON for a machine, not Markdown for a reader"),
    argument("--fail-if-worse", action="store_true", help="exit 1 if a model is worse beyond noise"),
)
BOARD = (
    argument("files", nargs="+", help="results.json files or reports' folders"),
    argument("-o", "--output", default="board.html", help="the page to write (default: %(default)s)"),
)
CLEANING = (
    argument("params", nargs="*", help="params files to keep the runs of (default: all in params/)"),
    argument("--yes", action="store_true", help="remove without asking"),
)
SOURCE = (
    argument("source", help="a run's folder, a report's folder or its results.json"),
    argument("--model", help="of a report: which model, by name (default: the best on val)"),
    argument("--runs", metavar="FOLDER", help="where a report's runs lie (default: runs, beside reports)"),
)
PREDICTING = (
    argument("images", nargs="+", help="image files, folders, or tables with a column file"),
    argument("-o", "--output", default="predictions.csv", help=".csv or .parquet (default: %(default)s)"),
    argument("--all", action="store_true", help="also second and third, and each class's probability"),
    argument("--precision", choices=("fp32", "bf16", "fp16"), help="default: as the run was evaluated"),
    argument("--prior", metavar="SHARES", help="the images' mix of classes: balanced, or as cat=0.2,dog=0.8"),
)
EXPORTING = (
    argument("--to", choices=("onnx", "torch"), default="onnx", help="ONNX (default), or torch.export"),
    argument("-o", "--output", help="the file to write (default: model.onnx or model.pt2)"),
    argument("--int8", action="store_true", help="weights and activations of 8 bits; says what it costs"),
)
TRYING = (
    argument("--host", default="127.0.0.1", help="where to listen (default: this machine alone)"),
    argument("--port", type=int, default=8765, metavar="N", help="default: %(default)s; 0: a free one"),
)
CARD = (argument("-o", "--output", default="README.md", help="the file to write (default: %(default)s)"),)
AUDITING = (
    argument(
        "--fail-on", default="", metavar="REASONS", help="exit 1 if one is found: label_error,exact_copy"
    ),
)
ALWAYS = (
    argument("--offline", action="store_true", help="forbid every connection; say what would be fetched"),
    argument("--debug", action="store_true", help="show the traceback of an error"),
    argument("--no-user-code", action="store_true", help="refuse networks in files of your own"),
)


def run(options: argparse.Namespace) -> int:
    """``headstart run``."""
    from pipeline.experiment import Experiment
    from pipeline.run import Options

    experiment = Experiment.from_yaml(options.params)
    return _exit_code(_records(experiment, Options(options.jobs, options.scheduler)))


def render(options: argparse.Namespace) -> int:
    """``headstart render``."""
    return _write_report(options)


def report(options: argparse.Namespace) -> int:
    """``headstart report``."""
    return _write_report(options, options.jobs, options.scheduler, anew=False)


def _records(experiment: "Experiment", how: "Options") -> "list[RunRecord]":
    """Return the runs of an experiment, made where they are missing; say which failed."""
    from pipeline.run import describe_failure, run

    records = run(experiment, how)
    failed = [record for record in records if not record.complete and record.settings.trial is None]
    for record in failed:
        print(f"headstart: {describe_failure(record, len(records) - len(failed))}", file=sys.stderr)
    return records


def _exit_code(records: "list[RunRecord]") -> int:
    return 0 if all(record.complete or record.settings.trial is not None for record in records) else 1


def _write_report(
    options: argparse.Namespace, jobs: int = 1, scheduler: str | None = None, anew: bool = True
) -> int:
    """Make the runs and write the report: runs that fail stand in it, and in the exit code.

    Unless it shall be written ``anew``, a report that nothing has changed for is left as it is.
    """
    from pipeline.forker import REPORTING, warm_processes
    from pipeline.report import render as rendering
    from pipeline.report.render import unchanged

    formats = _formats(options.to)
    engine = rendering.choose_engine(options.engine)
    last = None if anew else unchanged.kept(Path(options.params))
    warm = engine == "embedded" and last is None  # Quarto starts its kernel itself
    with warm_processes(REPORTING) if warm else nullcontext():  # while it imports, so does this process
        from pipeline.experiment import Experiment
        from pipeline.run import Options

        document, params = project_root() / "report.qmd", Path(options.params)
        experiment = Experiment.from_yaml(params)
        output = Path("reports") / experiment.name
        rendering.check(document, output, formats, params)
        records = _records(experiment, Options(jobs, scheduler))
        runs = [record.folder for record in records]
        of = document, output, [*formats, engine], experiment, runs
        if last and last[0] == unchanged.state(*of):
            return _left_as_it_is(last[1], records)
        rendered = rendering.render(document, params, output, formats, options.engine, runs, experiment)
        unchanged.keep(params, unchanged.state(*of), rendered)
    with suppress(OSError):  # the report is written, whether or not that can be said
        for warning in (*rendered.warnings, *_edited(experiment)):
            print(f"headstart: {warning}", file=sys.stderr)
        print(*rendered.files.values(), f"Rendered by {rendered.engine}.", sep="\n", flush=True)
    return _exit_code(records)


def _left_as_it_is(rendered: "Rendered", records: "list[RunRecord]") -> int:
    with suppress(OSError):
        how = f"Rendered by {rendered.engine}; nothing has changed since. headstart render writes it anew."
        print(*rendered.files.values(), how, sep="\n", flush=True)
    return _exit_code(records)


def _edited(experiment: "Experiment") -> list[str]:
    """Return a warning where a params file is not what it was when a command began."""
    with suppress(InputError):
        if type(experiment).from_yaml(experiment.path) == experiment:
            return []
    return [
        f"{experiment.path} was edited meanwhile: the report is of what it asked for before. The same "
        "command again makes what it asks for now."
    ]


def why(options: argparse.Namespace) -> int:
    """``headstart why``."""
    from pipeline.experiment import Experiment
    from pipeline.plan import reasons
    from pipeline.tuning import known

    experiment, whole = known(Experiment.from_yaml(options.params))
    for reason in reasons(experiment):
        print(f"{reason.run_id}: {reason.text}")
    if not whole:
        print("Tuning goes on from there: later trials and final runs are known once these are whole.")
    return 0


def audit(options: argparse.Namespace) -> int:
    """``headstart audit``."""
    from pipeline import audit as auditing
    from pipeline.experiment import Experiment
    from pipeline.report.render import refuse_another_study

    forbidden = auditing.checked_reasons(options.fail_on)
    experiment = Experiment.from_yaml(options.params)
    folder = Path("reports") / experiment.name
    refuse_another_study(folder, Path(options.params))
    found = auditing.audit(experiment, folder)
    print(*auditing.summary(found, folder / "suspects.csv"), sep="\n")
    return 1 if found["reason"].isin(forbidden).any() else 0


def diff(options: argparse.Namespace) -> int:
    """``headstart diff``."""
    from pipeline.report.diff import diff as compare
    from pipeline.report.diff_text import markdown

    found = compare(options.first, options.second)
    print(found.to_json() if options.json else markdown(found))
    return int(options.fail_if_worse and found.judged_worse())


def board(options: argparse.Namespace) -> int:
    """``headstart board``."""
    from pipeline.report import board as boards

    output = Path(options.output)
    boards.check_output(output)
    found = boards.board(options.files)
    boards.write(output, found)
    print(output, *boards.summary(found), sep="\n")
    return 0


def init(options: argparse.Namespace) -> int:
    """``headstart init``."""
    from pipeline.init import init

    print(*init(Path(options.folder)), sep="\n")
    return 0


def clean(options: argparse.Namespace) -> int:
    """``headstart clean``."""
    from pipeline.cleaning import params_files, unreferenced

    found = unreferenced([Path(p) for p in options.params] or params_files())
    going = [item for item in found if item.placed]
    for item in found:
        why = "" if item.placed else "  kept: no params file known here made it; remove it by hand"
        print(f"{item.size_bytes / 1e6:10.1f} MB  {item.path}{why}")
    total = sum(item.size_bytes for item in going) / 1e6
    folders = "1 folder" if len(going) == 1 else f"{len(going)} folders"
    print(f"{folders}, {total:.1f} MB, that no params file refers to.")
    if going and (options.yes or _confirmed(f"Remove {folders}? [y/N] ")):
        for item in going:
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


def predict(options: argparse.Namespace) -> int:
    """``headstart predict``."""
    from pipeline.inference import source
    from pipeline.inference.predict import check_output, predict
    from pipeline.inference.predictor import Predictor
    from pipeline.inference.prior import ratios

    check_output(Path(options.output))
    record = source.find(options.source, options.model, options.runs)
    shares = ratios(record, options.prior) if options.prior else None
    predictor = Predictor.of(record, options.precision)
    predictor.prior = shares
    for line in predict(predictor, options.images, Path(options.output), options.all):
        print(line)
    return 0


def export(options: argparse.Namespace) -> int:
    """``headstart export``."""
    from pipeline.inference import source
    from pipeline.inference.export import SUFFIXES, check_output, export
    from pipeline.inference.predictor import Predictor
    from pipeline.report.evidence.tests import compare

    output = Path(options.output or f"model{SUFFIXES[options.to]}")
    check_output(output, options.to)
    chosen = source.choose(options.source, options.model, options.runs)
    predictor = Predictor.of(chosen.record, "fp32", likeness=False)
    for line in export(predictor, output, options.to, options.int8, chosen, compare):
        print(line)
    return 0


def try_page(options: argparse.Namespace) -> int:
    """``headstart try``."""
    from pipeline.inference import serve, source
    from pipeline.inference.predictor import Predictor

    record = source.find(options.source, options.model, options.runs)
    with serve.server(Predictor.of(record), options.host, options.port) as server:
        host, port = server.server_address[:2]
        print(f"http://{host!s}:{port}/ answers with {record.run_id}; Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


def card(options: argparse.Namespace) -> int:
    """``headstart card``."""
    from pipeline.inference import card as cards
    from pipeline.inference import source
    from pipeline.inference.export import write

    output = Path(options.output)
    cards.check_output(output)
    text = cards.card(source.choose(options.source, options.model, options.runs))
    write({output: text.encode()})
    print(f"{output}: the model card; what only you know is marked '{cards.TO_FILL.strip('*')}'.")
    return 0


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
    raise InputError(
        f"{Path.cwd()}: no report.qmd here; 'headstart init FOLDER' makes a folder that has one."
    )


INIT = (argument("folder", help="a new folder, or an empty one"),)
COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str, tuple[Argument, ...]]] = {
    "run": (run, "train what is missing of an experiment", (PARAMS, *RUNNING)),
    "render": (render, "write the report, training what is missing", (PARAMS, *RENDERING)),
    "report": (report, "run, then render", (PARAMS, *RUNNING, *RENDERING)),
    "why": (why, "say of each run whether it is kept, or what changed", (PARAMS,)),
    "audit": (audit, "list the images worth a look: labels, copies, damage", (PARAMS, *AUDITING)),
    "diff": (diff, "compare two reports: settings, and paired differences", DIFFING),
    "board": (board, "rank the models of many reports, where their test images are the same", BOARD),
    "init": (init, "make a folder for a study of your own, with all that it needs", INIT),
    "clean": (clean, "list and remove runs that no params file refers to", CLEANING),
    "doctor": (doctor, "check this machine, and say what to do about it", (PARAMS,)),
    "predict": (predict, "ask a report's network about other images", (*SOURCE, *PREDICTING)),
    "export": (export, "write a report's network to one file for elsewhere", (*SOURCE, *EXPORTING)),
    "try": (try_page, "open a page that answers for an image dropped on it", (*SOURCE, *TRYING)),
    "card": (card, "write the model card of a report's network, for the Hugging Face Hub", (*SOURCE, *CARD)),
}


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, as all else does."""

    def error(self, message: str) -> NoReturn:
        """Say it and exit; a command or choice that is misspelt comes with the closest."""
        found = re.search(r"invalid choice: '(.*?)' \(choose from (.*?)\)", message)
        hint = did_you_mean(found[1].lower(), re.findall(r"[\w.]+", found[2])) if found else ""
        self.exit(
            InputError.exit_code, f"headstart: {one_line(message)}.{hint} {self.prog} --help tells more.\n"
        )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="headstart", description="Own CNN or pretrained network? A report answers.")
    parser.add_argument("--version", action="version", version=f"headstart {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="command")
    for name, (call, text, arguments) in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=text)
        command.set_defaults(command=call)
        for each in (*ALWAYS, *arguments):
            command.add_argument(*each.names, **each.options)
    return parser
