"""Jobs and kernels forked from a process that has imported everything already, where that pays.

Starting Python, Papermill, IPython and PyTorch takes seconds, which every run would pay twice. While
``warm_processes`` is open, they are forked from one process, ``python -m pipeline.forker <socket> <module>
...``: what was imported there is there in the fork, and nothing else is shared between runs. Linux only:
elsewhere, wherever that process cannot be reached and where HEADSTART_WARM is 0, they start the usual way.

The process imports the modules and then forks for each request on its socket, a line of JSON with the
standard streams of the fork. The answer is the fork's pid, and later its exit code. A fork ends with who
asked for it, and all end with this process, which ends with its standard input.

Why not the forkserver of ``multiprocessing``: it cannot be shared by the processes of several jobs (each
would import PyTorch for a server of its own), refuses to work in the daemons that Dask's workers are,
gives a child the server's output, not that of who asks, and ends none with who asked for it.
"""

import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from pipeline import gpus
from pipeline.source import code_hash
from pipeline.surroundings import DRAWING, own_environment

SWITCH = "HEADSTART_WARM"  # "0" turns this off
SOCKET_VARIABLE = "HEADSTART_WARM_SOCKET"
LONGEST_PATH = 99  # of a socket, in bytes: Linux allows 107, and it is opened under a longer name
FORK_SECONDS = 120.0  # how long the first fork waits for the imports
KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib.pyplot")
WITH_PYTORCH = (
    "pipeline.learn.baselines",
    "pipeline.learn.data.dataset",
    "pipeline.learn.evaluate",
    "pipeline.learn.models",
    "pipeline.learn.train",
    "timm",
    "torch._dynamo",  # every optimizer imports it
    "torch.utils.flop_counter",
)
LEARNING = ("papermill", "pipeline.job", *KERNEL, *WITH_PYTORCH)
REPORTING = (
    *KERNEL,
    "pipeline.run",
    "pipeline.report.chapters",
    "pipeline.report.page",
    "pipeline.report.results_json",
    "pipeline.report.look.svg",
)
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


@contextlib.contextmanager
def warm_processes(imported: Sequence[str]) -> Iterator[None]:
    """Have jobs and kernels that are started in this block, here or in child processes, forked.

    They come from a process that has ``imported`` these modules. An inner block wins over an outer. Where
    there may be a GPU, PyTorch is not among them: CUDA cannot be used in a fork of a process that has asked
    for it, and any module may ask while it is imported.
    """
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        path = str(Path(folder) / "forker")
        if not _can_be_warm(path):
            yield
            return
        if gpus.may_be_there():
            imported = [name for name in imported if name not in WITH_PYTORCH]
        source = subprocess.Popen(
            [sys.executable, "-m", "pipeline.forker", path, *imported],
            stdin=subprocess.PIPE,  # closed with this process, however that ends
            stdout=subprocess.DEVNULL,
            env=own_environment(),  # read when PyTorch is imported
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then stops it in order
        )
        try:
            with _variable(SOCKET_VARIABLE, path):
                yield
        except BaseException:
            source.terminate()  # while it imports, that ends it at once
            raise
        finally:
            source.communicate()


def _can_be_warm(path: str) -> bool:
    wanted = os.environ.get(SWITCH) != "0"
    return wanted and sys.platform == "linux" and len(os.fsencode(path)) <= LONGEST_PATH


@contextlib.contextmanager
def _variable(name: str, value: str) -> Iterator[None]:
    """Set an environment variable for this block; child processes see it too."""
    outer = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
        if outer is not None:
            os.environ[name] = outer


def start(
    function: str, asked: object, *, output: IO[bytes], environment: dict[str, str], folder: str
) -> "subprocess.Popen[bytes] | ForkedProcess":
    """Call ``"module:function"`` in a process of its own, with what is ``asked`` as JSON on standard input.

    It is forked where ``warm_processes`` is open.
    """
    module, name = function.split(":")
    with tempfile.TemporaryFile() as question:
        question.write(json.dumps(asked).encode())
        question.seek(0)
        if SOCKET_VARIABLE in environment:
            streams = question.fileno(), output.fileno(), output.fileno()
            with contextlib.suppress(OSError, ValueError):
                return ForkedProcess(function, [], environment, folder, streams)
            question.seek(0)  # a fork that came too late may have begun to read
        return subprocess.Popen(
            [sys.executable, "-c", f"from {module} import {name}; {name}()"],
            stdin=question,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=folder,
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then stops it in order
        )


class ForkedProcess:
    """A process as ``subprocess.Popen`` shows one; its parent is the process of ``warm_processes``.

    It calls ``"module:function"`` with these ``sys.argv[1:]``, environment, current folder and standard
    streams. Raises OSError when the process of ``warm_processes`` cannot be reached.
    """

    stdin = stdout = stderr = None

    def __init__(
        self,
        function: str,
        arguments: Sequence[str],
        environment: dict[str, str],
        folder: str,
        streams: tuple[int, int, int],
    ):
        self.returncode: int | None = None
        self._connection = _connected(environment[SOCKET_VARIABLE])
        request = {
            "function": function,
            "arguments": arguments,
            "environment": environment,
            "folder": folder,
        }
        try:
            self.pid = self._ask(request, streams)
        except BaseException:
            self._connection.close()
            raise

    def _ask(self, request: dict[str, Any], streams: tuple[int, int, int]) -> int:
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._connection, [message], streams)
        self._connection.sendall(message[sent:])
        said = self._connection.recv(64)
        if not said:
            raise ConnectionError("the process that forks has ended")
        self._connection.setblocking(False)
        return int(said)

    def poll(self) -> int | None:
        """Return the exit code, or None while the process lives."""
        if self.returncode is None:
            try:
                said = self._connection.recv(64)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                said = b""
            # Without a word, the process that forks was killed, and its forks with it.
            self.returncode = int(said) if said.strip() else -signal.SIGKILL
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("a fork", timeout or 0.0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _connected(path: str) -> socket.socket:
    """Connect to the process of ``warm_processes``, which may have been started a moment ago."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end = time.monotonic() + 10
    while True:
        try:
            connection.connect(path)
        except OSError as error:
            starting = isinstance(error, FileNotFoundError)  # what is there and refuses has ended
            if not starting or time.monotonic() > end:
                connection.close()
                raise
            time.sleep(0.02)
        else:
            connection.settimeout(FORK_SECONDS)
            return connection


def main(path: str, imported: Sequence[str]) -> None:
    """Import these modules, then fork for each request, until standard input ends."""
    os.environ |= DRAWING  # Matplotlib asks while it is imported
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(f"{path}.opened")
        listening.listen()
        Path(f"{path}.opened").rename(path)  # from now on, who connects is heard
        with warnings.catch_warnings(action="ignore"):
            for name in imported:
                with contextlib.suppress(ImportError):  # the fork says what it lacks, if it needs it
                    importlib.import_module(name)
        if "pipeline.learn.train" in sys.modules:
            code_hash()  # what it reads is kept for every fork's own
        _Source(listening).serve()


class _Source:
    """Forks, tells those who asked how their forks ended, and ends those whose asker is gone."""

    def __init__(self, listening: socket.socket):
        self.listening = listening
        self.asking: dict[int, socket.socket] = {}  # by the pid of their fork
        self.awake, self.wake = socket.socketpair()  # a byte arrives when a fork has ended
        self.wake.setblocking(False)
        self.selector = selectors.DefaultSelector()
        for readable in (listening, self.awake, sys.stdin):
            self.selector.register(readable, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # from now on, the end of standard input says it
        signal.set_wakeup_fd(self.wake.fileno())

    def serve(self) -> None:
        """Work until standard input ends, then end the forks that are left."""
        while True:
            for ready in [key.fileobj for key, _ in self.selector.select()]:
                if ready is sys.stdin:
                    for pid in self.asking:
                        _end(pid)
                    return
                if ready is self.listening:
                    self._fork()
                elif ready is self.awake:
                    self.awake.recv(4096)
                    self._reap()
                else:
                    self._left(ready)

    def _fork(self) -> None:
        asking, _ = self.listening.accept()
        message, descriptors, _, _ = socket.recv_fds(asking, 65536, 3)
        while message and not message.endswith(b"\n"):
            more = asking.recv(65536)
            message = message + more if more else b""
        source = os.getpid()
        pid = os.fork() if message else 0
        if message and pid == 0:
            self._become(json.loads(message), descriptors, source)
        for descriptor in descriptors:
            os.close(descriptor)
        if not message:  # who asked is gone
            asking.close()
            return
        self.asking[pid] = asking
        self.selector.register(asking, selectors.EVENT_READ)
        with contextlib.suppress(OSError):
            asking.sendall(f"{pid}\n".encode())

    def _become(self, request: dict[str, Any], descriptors: list[int], source: int) -> NoReturn:
        """Be the process that was asked for, and end with who asked."""
        code = 1
        try:
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != source:  # it was killed before it could take this process with it
                os._exit(code)
            os.setsid()
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGCHLD, signal.SIGTERM):
                signal.signal(number, signal.SIG_DFL)
            self.selector.close()
            for open_socket in (self.listening, self.awake, self.wake, *self.asking.values()):
                open_socket.close()
            for target, descriptor in enumerate(descriptors):
                os.dup2(descriptor, target)
                os.close(descriptor)
            os.environ.clear()
            os.environ.update(request["environment"], JPY_PARENT_PID=str(os.getppid()))
            os.chdir(request["folder"])
            module, name = request["function"].split(":")
            sys.argv = [module, *request["arguments"]]
            getattr(importlib.import_module(module), name)()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            if sys.exception():
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _reap(self) -> None:
        for pid, asking in list(self.asking.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                with contextlib.suppress(OSError):
                    asking.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
                self._forget(pid)

    def _left(self, asking: Any) -> None:
        """End a fork whose asker closed the connection, as the system does when that is killed."""
        if not asking.recv(1):
            pid = next(pid for pid, known in self.asking.items() if known is asking)
            _end(pid)
            os.waitpid(pid, 0)
            self._forget(pid)

    def _forget(self, pid: int) -> None:
        asking = self.asking.pop(pid)
        self.selector.unregister(asking)
        asking.close()


def _end(pid: int) -> None:
    """End a fork with what it has started; one that leads no group yet has started nothing."""
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            return kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
