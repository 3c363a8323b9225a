"""From an Experiment to its RunRecords: what is whole is kept, what is missing is run."""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from queue import SimpleQueue

import psutil

from pipeline import limits, warm
from pipeline.errors import InputError, RecordError, RunError
from pipeline.experiment import Experiment, RunSettings
from pipeline.identity import PlannedRun, plan
from pipeline.jobs import Emit, Job, run_in_process, stop_all
from pipeline.progress import Progress
from pipeline.record import Failure, RunDetails, RunRecord
from pipeline.worker import commit, end_leftovers

# Set while a report is rendered by a command that has made the runs a moment ago: their folders, as JSON.
RUNS_VARIABLE = "HEADSTART_RUNS"


@dataclass(frozen=True)
class Options:
    """How to run: no part of a run's identity. Other ``jobs`` are other threads, which round differently."""

    jobs: int = 1
    scheduler: str | None = None


def ensure(params_file: str | Path) -> tuple[Experiment, list[RunRecord]]:
    """Return an experiment and its runs in the order of its params file, training what is missing.

    This is what the setup cell of ``report.qmd`` calls. Failed runs are among those returned. Below
    ``headstart report``, which has just made them, it only reads: planning again takes seconds.
    """
    experiment = Experiment.from_yaml(params_file)
    if made := os.environ.get(RUNS_VARIABLE):
        return experiment, [RunRecord.read(Path(folder)) for folder in json.loads(made)]
    return experiment, run(experiment)


def hand_over(records: Iterable[RunRecord]) -> None:
    """Let ``ensure`` read these runs, in this process and those that it starts from now on."""
    os.environ[RUNS_VARIABLE] = json.dumps([str(record.folder.absolute()) for record in records])


def run(experiment: Experiment, options: Options | None = None) -> list[RunRecord]:
    """Run what is missing of an experiment and return all its records, failed ones included.

    Raises InputError before any work when settings, data, models or the folder cannot be used, or
    when disk or memory would not do.
    """
    options = options or Options()
    _check_folder(Path(experiment.runs_dir))
    planned = plan(experiment)
    missing = [p for p in planned if _is_missing(p)]
    if missing and not options.scheduler:
        limits.check([p.settings for p in missing], Path(experiment.runs_dir), options.jobs)
    with Progress(planned, missing) as progress:
        if missing:
            _run_all(missing, options, progress)
    return [_record(p) for p in planned]


def records(experiment: Experiment) -> list[RunRecord]:
    """Return the records of an experiment's runs, those that there are, without running any."""
    found = (planned.record() for planned in plan(experiment))
    return [record for record in found if record is not None]


def describe_failure(record: RunRecord, kept: int) -> str:
    """Return one line on a failed run: where, why, its notebook, and what is kept."""
    failure = record.details.failure
    assert failure is not None
    where = f" in cell {failure.cell}" if failure.cell else ""
    notebook = record.folder / "train.ipynb"
    shown = f" Its notebook: {notebook}." if notebook.is_file() else ""
    others = f" The other {kept} runs are kept." if kept else ""
    return f"Run {record.run_id} failed{where}: {failure.message.rstrip('.')}.{shown}{others}"


def _check_folder(runs_dir: Path) -> None:
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{runs_dir}: cannot be made: {error.strerror}. Set runs_dir to a folder of yours."
        ) from None
    if not os.access(runs_dir, os.W_OK | os.X_OK):
        raise InputError(f"{runs_dir}: no permission to write. Set runs_dir to a folder of yours.")


def _is_missing(planned: PlannedRun) -> bool:
    try:
        record = planned.record()
        if record is not None:
            record.verify()
    except RecordError:
        return True  # damaged: it is replaced
    return record is None or not (record.complete or _tried_in_this_render(planned))


def _record(planned: PlannedRun) -> RunRecord:
    record = planned.record()
    if record is None:
        raise RunError(f"Run {planned.run_id} left no record in {planned.folder}; run again.")
    return record


def _tried_in_this_render(planned: PlannedRun) -> bool:
    """Whether Quarto, for an earlier format, has tried a failed run just now."""
    starts = [p.create_time() for p in psutil.Process().parents() if p.name() in ("quarto", "deno")]
    return bool(starts) and (planned.folder / "record.json").stat().st_mtime > min(starts)


def _run_all(missing: Sequence[PlannedRun], options: Options, progress: Progress) -> None:
    if options.scheduler:
        from pipeline.cluster import run_on_cluster

        run_on_cluster([_job(p, threads=1) for p in missing], options.scheduler, progress)
    else:
        run_here([_job(p, _threads_for(options.jobs)) for p in missing], options.jobs, progress)


def _job(planned: PlannedRun, threads: int) -> Job:
    return Job(
        run_id=planned.run_id,
        settings=planned.settings.model_dump(),
        hashes=planned.hashes,
        runs_dir=str(planned.folder.parent.absolute()),
        threads=threads,
        folder=str(Path.cwd()),
    )


def _threads_for(jobs: int) -> int:
    """Return the threads of each job, so that jobs side by side do not fight for cores."""
    return max(1, available_cores() // jobs)


def available_cores() -> int:
    """Return how many cores this process may use, which in a container are not all there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_here(jobs: Iterable[Job], at_once: int, progress: Progress) -> None:
    """Run jobs on this machine, ``at_once`` at a time, GPUs handed round.

    Runs that another process works on now come last: they may be whole by then.
    """
    gpus = _gpus()
    with warm.kernels(warm.LEARNING), ThreadPoolExecutor(max_workers=at_once) as pool:
        futures = {
            pool.submit(_run_with_gpu, job, gpus, progress.show): job
            for job in sorted(jobs, key=Job.is_taken)
        }
        try:
            finish(futures, progress)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise


def _gpus() -> "SimpleQueue[str | None]":
    """Return a queue of the GPUs to hand round, or of one None without any."""
    import torch

    gpus: SimpleQueue[str | None] = SimpleQueue()
    for number in range(torch.cuda.device_count()):
        gpus.put(str(number))
    return gpus


def _run_with_gpu(job: Job, gpus: "SimpleQueue[str | None]", emit: Emit) -> str:
    gpu = None if gpus.empty() else gpus.get()
    try:
        return run_in_process(replace(job, gpu=gpu), emit)
    finally:
        if gpu is not None:
            gpus.put(gpu)


def finish(futures: "Mapping[Future[str], Job]", progress: Progress) -> None:
    """Wait for jobs; one whose process died is recorded as failed, and the others go on."""
    for future in as_completed(futures):
        settle(futures[future], future.result(), progress)


def settle(job: Job, last_words: str, progress: Progress) -> None:
    """Show how a job ended; ``last_words`` are those of a process that died, or ""."""
    if last_words:
        record_death(job, last_words)
    progress.done(job.run_id, RunRecord.read(job.final))


def record_death(job: Job, last_words: str) -> None:
    """Record a run as failed whose process ended before it could do so itself.

    Where another process has taken the run over, that one's result counts.
    """
    with job.lock:
        if not job.partial.is_dir() and (job.final / "record.json").is_file():
            return
        end_leftovers(job)
        job.partial.mkdir(parents=True, exist_ok=True)
        commit(
            job,
            RunDetails(
                status="failed",
                run_id=job.run_id,
                settings=RunSettings(**job.settings),
                hashes=job.hashes,
                failure=Failure(kind="ProcessDied", message=last_words),
            ),
        )
