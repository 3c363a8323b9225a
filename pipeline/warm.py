"""Kernels that start at once: forked from one process that has imported everything already.

Starting Python, IPython and PyTorch takes a kernel about five seconds, which every run would pay
again. While ``kernels`` is open, ``kernel.OwnKernelManager`` asks its process for a kernel instead:
what was imported there is there in the fork, and nothing else is shared between runs. Linux only:
elsewhere, and wherever the process cannot be reached, kernels start the ordinary way.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from pipeline.jobs import THREAD_SETTINGS

SOCKET_VARIABLE = "HEADSTART_WARM"
LONGEST_PATH = 100  # of a socket, in bytes; Linux allows 107
START_SECONDS = 120.0  # how long a kernel waits for the imports of the first one
KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib.pyplot")
LEARNING = (
    *KERNEL,
    "pipeline.learn.data.loading",
    "pipeline.learn.evaluate",
    "pipeline.learn.models",
    "pipeline.learn.train",
    "torch._dynamo",  # every optimizer imports it
    "torch.utils.flop_counter",
)
REPORTING = (
    *KERNEL,
    "pipeline.execution",
    "pipeline.report.chapters",
    "pipeline.report.page",
    "pipeline.report.results_json",
    "pipeline.report.look.svg",
)


@contextlib.contextmanager
def kernels(imported: Sequence[str]) -> Iterator[None]:
    """Have kernels that are started in this block, here or in child processes, forked.

    They come from a process that has ``imported`` these modules. An inner block wins over an outer.
    """
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        path = str(Path(folder) / "kernels")
        if sys.platform != "linux" or len(os.fsencode(path)) > LONGEST_PATH:
            yield
            return
        source = subprocess.Popen(
            [sys.executable, "-m", "pipeline.forker", path, *imported],
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
