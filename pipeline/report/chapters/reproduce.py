"""How to reproduce: the command, the versions, the code, the machine, and every run."""

from collections.abc import Iterator

from IPython.display import Markdown

from pipeline.record import DatasetInfo, RunRecord
from pipeline.report.look import floats
from pipeline.report.look.table import NONE, Table, table
from pipeline.report.study import Study
from pipeline.report.words.english import escape_markdown, flat, join, opened, plural
from pipeline.report.words.numbers import duration, percent

MOST_FILES = 20  # unreadable files that are named


def instructions(study: Study) -> Markdown:
    """Say how to make the report again, and what may then differ."""
    experiment = study.experiment
    command = f"``headstart report {flat(experiment.path or experiment.name)}``"
    parts = [f"{command} makes this report again; runs that are whole are read, not repeated."]
    parts += [escape_markdown(words) for words in (*_promise(study), *_environment(study))]
    return Markdown(" ".join(parts))


def _promise(study: Study) -> Iterator[str]:
    """Yield what the same file gives when its runs are made again, and where that ends."""
    devices = {r.details.environment.device for r in study.records if r.details.environment}
    if not devices:
        return
    numbers = "the same answers, and times that vary"
    if devices != {"cpu"}:
        numbers = "nearly the same answers, since a GPU adds in no fixed order, and times that vary"
    yield (
        f"With the same versions and as many threads on the same machine, this file gives {numbers}. Other "
        "hardware, versions, numbers of threads or precision (bf16 in place of fp32) round differently, "
        "which training amplifies: figures then differ."
    )


def _environment(study: Study) -> Iterator[str]:
    environment = next((r.details.environment for r in study.records if r.details.environment), None)
    if environment:
        packages = join([f"{name} {version}" for name, version in environment.packages.items()])
        yield f"The runs used Python {environment.python} and {packages}, on {environment.platform}."
    if environment and environment.git_commit:
        dirty = ", with changes that were not committed" if environment.git_dirty else ""
        yield f"The code was commit {environment.git_commit[:12]}{dirty}."
    if study.dataset:
        yield f"The fingerprint of the images is {study.dataset.fingerprint[:16]}."
        yield from _unreadable(study.dataset)


def _unreadable(dataset: DatasetInfo) -> Iterator[str]:
    files = dataset.unreadable
    if files:
        more = f" and {len(files) - MOST_FILES:,} more" if len(files) > MOST_FILES else ""
        yield f"{opened(plural(len(files), 'unreadable file'))}: {join(files[:MOST_FILES])}{more}."


@floats.table(
    "tbl-runs",
    "A name ends in a hash of settings, images, code and weights. Time: from the start of its notebook to "
    "the end.",
    lambda study: f"{plural(len(_every(study)), 'run')}, {_failed(study)}",
    models=False,
)
def runs(study: Study) -> Table:
    """List every run: whole, failed or set apart, with what one needs to find it again."""
    order = [*study.names, *(record.run_id for record in (*study.smaller, *study.trials))]
    ordered = sorted(_every(study), key=lambda record: order.index(record.run_id))
    rows = [_run(study, record) for record in ordered]
    return table(["Run", "Seed", "Outcome", "Test accuracy", "Time"], rows, "lrlrr")


def _every(study: Study) -> list[RunRecord]:
    return [*study.headline, *study.smaller, *study.trials]


def _failed(study: Study) -> str:
    failed = sum(not record.complete for record in (*study.failures, *study.smaller))
    return f"{failed:,} failed" if failed else "none failed"


def _run(study: Study, record: RunRecord) -> list[str]:
    timings = record.details.timings
    took = timings.papermill_seconds or timings.train_seconds if timings else None
    asked = record.complete and record.settings.trial is None  # a trial is judged on val alone
    right = percent(float(record.split("test").correct.mean())) if asked else NONE
    return [
        f"`{record.run_id}`",
        str(record.settings.seed),
        _outcome(study, record),
        right,
        duration(took) if took else NONE,
    ]


def _outcome(study: Study, record: RunRecord) -> str:
    failure = record.details.failure
    if failure:
        where = f"failed in cell {failure.cell}: " if failure.cell else ""
        return escape_markdown(f"{where}{failure.message}")
    if record in study.apart:
        return "set apart: other test images or classes"
    epochs = len(record.history)
    return f"{epochs} epochs, kept {record.details.best_epoch}" if epochs else "whole"
