"""Kernels that start at once: forked from one process that has imported everything already.

Starting Python, IPython and PyTorch takes a kernel about five seconds, which every run would pay
again. While ``kernels`` is open, ``kernel.OwnKernelManager`` asks its process for a kernel instead:
what was imported there is there in the fork, and nothing else is shared between runs. Linux only:
elsewhere, and wherever the process cannot be reached, kernels start the ordinary way.
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
from typing import Any, NoReturn

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from pipeline.jobs import THREAD_SETTINGS

SOCKET_VARIABLE = "HEADSTART_WARM"
START_SECONDS = 120.0  # how long a kernel waits for the imports of the first one
DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)
KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib.pyplot")
LEARNING = (
    *KERNEL,
    "pipeline.learn.data",
    "pipeline.learn.evaluation",
    "pipeline.learn.models",
    "pipeline.learn.training",
    "torch._dynamo",  # every optimizer imports it
    "torch.utils.flop_counter",
)
REPORTING = (
    *KERNEL,
    "pipeline.execution",
    "pipeline.report.figures",
    "pipeline.report.page",
    "pipeline.report.results",
    "pipeline.report.svg",
    "pipeline.report.tables",
)


@contextlib.contextmanager
def kernels(imported: Sequence[str]) -> Iterator[None]:
    """Have kernels that are started in this block, here or in child processes, forked.

    They come from a process that has ``imported`` these modules. An inner block wins over an outer.
    """
    if sys.platform != "linux":
        yield
        return
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        path = str(Path(folder) / "kernels")
        source = subprocess.Popen(
            [sys.executable, "-m", "pipeline.warm", path, *imported],
            stdin=subprocess.PIPE,  # closed with this process, however that ends
            stdout=subprocess.DEVNULL,
            env={**THREAD_SETTINGS, **os.environ},  # read when PyTorch is imported
            start_new_session=True,  # Ctrl-C reaches the parent alone, which then stops it in order
        )
        outer = os.environ.get(SOCKET_VARIABLE)
        os.environ[SOCKET_VARIABLE] = path
        try:
            yield
        finally:
            del os.environ[SOCKET_VARIABLE]
            if outer:
                os.environ[SOCKET_VARIABLE] = outer
            source.communicate()


class ForkedKernel:
    """A kernel as ``subprocess.Popen`` shows a process; its parent is the process of ``kernels``.

    Raises OSError when that cannot be reached.
    """

    stdin = stdout = stderr = None

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: str):
        self.returncode: int | None = None
        self._connection = _connected(os.environ[SOCKET_VARIABLE])
        request = {"arguments": arguments, "environment": environment, "folder": folder}
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._connection, [message], [1, 2])
        self._connection.sendall(message[sent:])
        said = self._connection.recv(64)
        if not said:
            raise ConnectionError("the process that forks kernels has ended")
        self.pid = int(said)
        self._connection.setblocking(False)

    def poll(self) -> int | None:
        """Return the exit code, or None while the kernel lives."""
        if self.returncode is None:
            try:
                said = self._connection.recv(64)
            except BlockingIOError:
                return None
            # Without a word, the process that forks kernels was killed, and they with it.
            self.returncode = int(said) if said.strip() else -signal.SIGKILL
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code."""
        end = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and time.monotonic() > end:
                raise subprocess.TimeoutExpired("kernel", timeout or 0.0)
            time.sleep(0.02)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the kernel has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _connected(path: str) -> socket.socket:
    """Connect to the process of ``kernels``, which may have been started a moment ago."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end = time.monotonic() + 10
    while True:
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            if time.monotonic() > end:
                connection.close()
                raise
            time.sleep(0.02)
        else:
            connection.settimeout(START_SECONDS)
            return connection


class WarmProvisioner(LocalProvisioner):
    """Starts kernels by forking where it can, and as a new process where it cannot."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> Any:
        """Start the kernel of a command line ``python -m ipykernel_launcher ...``."""
        if SOCKET_VARIABLE in os.environ:
            try:
                kernel: Any = ForkedKernel(
                    cmd[3:], dict(options.get("env") or os.environ), options.get("cwd") or str(Path.cwd())
                )
            except (OSError, ValueError):
                pass
            else:
                self.process = kernel
                self.pid = self.pgid = kernel.pid  # it leads a session, and so a group, of its own
                return self.connection_info
        return await super().launch_kernel(cmd, **options)


def main(path: str, imported: Sequence[str]) -> None:
    """Import these modules, then fork a kernel for each request, until standard input ends."""
    # The inline backend is what a kernel would choose; Matplotlib asks while it is imported.
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()
        with warnings.catch_warnings(action="ignore"):
            for name in imported:
                importlib.import_module(name)
        _Source(listening).serve()


class _Source:
    """Forks kernels, tells those who asked how they ended, and ends those whose asker is gone."""

    def __init__(self, listening: socket.socket):
        self.listening = listening
        self.asking: dict[int, socket.socket] = {}  # by the pid of their kernel
        self.awake, self.wake = socket.socketpair()  # a byte arrives when a kernel has ended
        self.wake.setblocking(False)
        self.selector = selectors.DefaultSelector()
        for readable in (listening, self.awake, sys.stdin):
            self.selector.register(readable, selectors.EVENT_READ)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self.wake.fileno())

    def serve(self) -> None:
        """Work until standard input ends, then end the kernels that are left."""
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
        message, descriptors, _, _ = socket.recv_fds(asking, 65536, 2)
        while message and not message.endswith(b"\n"):
            more = asking.recv(65536)
            message = message + more if more else b""
        pid = os.fork() if message else 0
        if message and pid == 0:
            self._become(json.loads(message), descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if not message:  # who asked is gone
            asking.close()
            return
        self.asking[pid] = asking
        self.selector.register(asking, selectors.EVENT_READ)
        with contextlib.suppress(OSError):
            asking.sendall(f"{pid}\n".encode())

    def _become(self, request: dict[str, Any], descriptors: list[int]) -> NoReturn:
        """Be the kernel that was asked for, with the output of who asked, and end with it."""
        code = 1
        try:
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
            os.setsid()
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self.selector.close()
            for open_socket in (self.listening, self.awake, self.wake, *self.asking.values()):
                open_socket.close()
            for target, descriptor in enumerate(descriptors, start=1):
                os.dup2(descriptor, target)
            os.environ.clear()
            os.environ.update(request["environment"], JPY_PARENT_PID=str(os.getppid()))
            os.chdir(request["folder"])
            sys.argv = ["ipykernel_launcher", *request["arguments"]]
            kernelapp = importlib.import_module("ipykernel.kernelapp")
            kernelapp.launch_new_instance()
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
        """End a kernel whose asker closed the connection, as the system does when that is killed."""
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
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
