"""From an Experiment to its RunRecords: what is whole is kept, what is missing is run."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline import gpus, limits, logger, tuning
from pipeline.cleaning import note_study
from pipeline.errors import InputError, RecordError, RunError
from pipeline.experiment import Experiment
from pipeline.forker import LEARNING, warm_processes
from pipeline.job import Job
from pipeline.plan import PlannedRun, plan
from pipeline.process import Emit, run_in_process, stop_all
from pipeline.progress import Progress
from pipeline.record import RunRecord

GPU_DEVICES = ("auto", "cuda")


@dataclass(frozen=True)
class Options:
    """How to run: no part of a run's identity. Other ``jobs`` are other threads, which round differently.

    For a report that shows them, failed runs are not tried again, and nothing is said where all is there.
    """

    jobs: int = 1
    scheduler: str | None = None
    for_report: bool = False


def ensure(params_file: str | Path, made: Sequence[str] = ()) -> tuple[Experiment, list[RunRecord]]:
    """Return an experiment and its runs in the order of its params file, training what is missing.

    This is what the setup cell of ``report.qmd`` calls, once for each format under Quarto. Failed runs
    are among those returned; ``headstart run`` tries them again. ``made`` are the runs' folders, where
    ``headstart report`` has made them a moment ago: to plan and check them again takes seconds. Then
    ``params_file`` is what it asked for when it began.
    """
    if made:
        return Experiment.as_asked(params_file), [RunRecord.read(Path(folder)) for folder in made]
    experiment = Experiment.from_yaml(params_file)
    return experiment, run(experiment, Options(for_report=True))


def run(experiment: Experiment, options: Options | None = None) -> list[RunRecord]:
    """Run what is missing of an experiment and return all its records, failed ones included.

    Raises InputError before any work when settings, data, models or the folder cannot be used, or
    when disk or memory would not do.
    """
    options = options or Options()
    _check_folder(Path(experiment.runs_dir))
    logger.check(experiment)
    asks = experiment.robustness or experiment.explain or experiment.external_test
    if asks:
        from pipeline.inference import elsewhere  # imports torch

        elsewhere.check(experiment)
    log = logger.Logger(experiment)
    made = _all_made(experiment, options, log)
    log.all(made)
    if asks:
        elsewhere.ask(experiment, made)
    return made


def _all_made(experiment: Experiment, options: Options, log: logger.Logger) -> list[RunRecord]:
    """Make the runs; where models are tuned, each trial and then what follows from it."""
    tried: set[str] = set()
    with ExitStack() as block:
        while True:
            known, whole = tuning.known(experiment)
            planned = plan(known)
            if not whole and tried.issuperset(p.run_id for p in planned):
                raise _stuck(planned)
            note_study(experiment, planned)
            missing = sorted((p for p in planned if _is_missing(p, options)), key=_seed)
            if missing and not tried and not options.scheduler:  # once, for what follows from trials too
                block.enter_context(warm_processes(LEARNING))
            _make(planned, missing, options, log)
            if whole:
                return [_record(p) for p in planned]
            tried.update(p.run_id for p in planned)


def _stuck(planned: Sequence[PlannedRun]) -> RunError:
    """Return the error for a trial that failed for other reasons than its settings."""
    found = (planned.record() for planned in planned)
    failed = next(record for record in found if record is not None and record.details.failure is not None)
    text = describe_failure(failed, 0).removesuffix(".")
    return RunError(f"{text}. Tuning cannot go on without this trial; run again.")


def _make(
    planned: Sequence[PlannedRun], missing: Sequence[PlannedRun], options: Options, log: logger.Logger
) -> None:
    """Make those of these runs that are missing."""
    if missing and not options.scheduler:
        limits.check([p.settings for p in missing], missing[0].folder.parent, options.jobs)
    ids, waiting = [p.run_id for p in planned], [p.run_id for p in missing]
    with Progress(ids, waiting, log, quiet=options.for_report) as progress:
        if missing:
            _run_all(missing, options, progress)


def _seed(planned: PlannedRun) -> int:
    """Return the seed: models take turns, so that what else the machine does meets their times alike."""
    return planned.settings.seed


def records(experiment: Experiment) -> list[RunRecord]:
    """Return the records of an experiment's runs, those that there are, without running any."""
    found = (planned.record() for planned in plan(tuning.known(experiment)[0]))
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


def _is_missing(planned: PlannedRun, options: Options) -> bool:
    try:
        record = planned.record()
        if record is not None:
            record.verify()
    except RecordError:
        return True  # damaged: it is replaced
    return record is None or not (record.complete or record.diverged or options.for_report)


def _record(planned: PlannedRun) -> RunRecord:
    record = planned.record()
    if record is None:
        raise RunError(f"Run {planned.run_id} left no record in {planned.folder}; run again.")
    return record


def _run_all(missing: Sequence[PlannedRun], options: Options, progress: Progress) -> None:
    if options.scheduler:
        from pipeline.dask import run_on_cluster

        run_on_cluster([job_of(p, threads=1) for p in missing], options.scheduler, progress)
    else:
        run_here([job_of(p, _threads_for(options.jobs)) for p in missing], options.jobs, progress)


def job_of(planned: PlannedRun, threads: int) -> Job:
    """Return the job that makes a planned run, in this folder."""
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
    from joblib import cpu_count  # takes a while to import, which a report of whole runs does without

    own = os.environ.get("OMP_NUM_THREADS", "")
    return int(own) if own.isdigit() and int(own) > 0 else max(1, cpu_count() // jobs)


def run_here(jobs: Iterable[Job], at_once: int, progress: Progress) -> None:
    """Run jobs on this machine, ``at_once`` at a time, GPUs handed round: each job gets the least busy one.

    Runs that another process works on now come last: they may be whole by then. One whose process
    died is recorded as failed, and the others go on.
    """
    shared = gpus.Shared(gpus.visible())
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        futures = {
            pool.submit(_run_with_gpu, job, shared, progress.show): job
            for job in sorted(jobs, key=Job.is_taken)
        }
        try:
            for future in as_completed(futures):
                progress.settle(futures[future], future.result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stop_all()
            raise


def _run_with_gpu(job: Job, shared: gpus.Shared, emit: Emit) -> str:
    with shared.one() if job.settings["device"] in GPU_DEVICES else nullcontext() as gpu:
        return run_in_process(replace(job, gpu=gpu), emit)
