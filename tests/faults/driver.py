"""Make runs without a kernel, each in a fork of one process that has imported everything already.

So a run can be killed a hundred times in a minute. Each line of standard input is a JSON object with
``job``, as ``pipeline.job.Job`` takes it; ``operation``: the process kills itself before that file
operation, counted from 1, 0 never; and ``largest_file``, in bytes, 0 for no limit. It answers with
the fork's process id and, when that has ended, with its exit status. The notebook's own cells are
run, without those that only draw.
"""

import importlib
import json
import os
import resource
import signal
import sys
import traceback
from pathlib import Path

from pipeline import job as jobs
from pipeline.experiment import RunSettings
from pipeline.forker import KERNEL, LEARNING
from pipeline.job import Job
from pipeline.learn import checkpoint, speed
from pipeline.record import RUN_FOLDER_VARIABLE, Failure
from pipeline.source import NOTEBOOK, code_hash

DRAWS = {"augmented", "confusion"}
FILE_OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"}


def main() -> None:
    """Serve one line after the other until standard input ends."""
    for name in set(LEARNING) - set(KERNEL):  # what takes each fork seconds otherwise
        importlib.import_module(name)
    code_hash()  # which every fork would ask for, and takes half a second
    checkpoint.SELDOM = 0  # every epoch is kept, short as they are: a kill loses one at most
    speed.BUDGET_SECONDS = 0.0  # how fast a network answers is not what is compared
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            _run(**json.loads(line))
        print(process, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]), flush=True)


def _run(job: dict[str, object], operation: int, largest_file: int) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    code = 70
    try:
        made = Job(**job)  # type: ignore[arg-type]
        os.environ[RUN_FOLDER_VARIABLE] = str(made.partial)
        os.chdir(made.folder)
        if largest_file:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
        if operation:
            _kill_before(operation, made.folder)
        jobs._execute = _execute_here
        jobs.end_leftovers = lambda _: None  # there are no kernels
        jobs.make(made)
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def _kill_before(operation: int, folder: str) -> None:
    """Kill this process before its ``operation``-th look at or change of a run or a cache in a folder."""
    own = tuple(os.path.join(folder, name) for name in ("runs", "cache"))  # noqa: PTH118 (called for each file)
    done = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal done
        if event in FILE_OPERATIONS and os.path.abspath(str(arguments[0])).startswith(own):  # noqa: PTH100
            done += 1
            if done == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _execute_here(settings: RunSettings, notebook: Path) -> Failure | None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    names = settings.model_dump()
    for cell in cells:
        if cell["cell_type"] == "code" and cell["id"] not in DRAWS | {"parameters"}:
            exec("".join(cell["source"]), names)
    notebook.write_bytes(NOTEBOOK.read_bytes())
    return None


if __name__ == "__main__":
    main()
