"""The process that kernels are forked from: ``python -m pipeline.forker <socket> <module> ...``.

It imports the modules and then forks a kernel for each request on its socket, a line of JSON with the
output descriptors of who asks. The answer is the kernel's pid, and later its exit code. A kernel ends
with who asked for it, and all end with this process, which ends with its standard input.

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
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from pipeline.surroundings import DRAWING

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def main(path: str, imported: Sequence[str]) -> None:
    """Import these modules, then fork a kernel for each request, until standard input ends."""
    os.environ |= DRAWING  # Matplotlib asks while it is imported
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen()
        with warnings.catch_warnings(action="ignore"):
            for name in imported:
                with contextlib.suppress(ImportError):  # the kernel says what it lacks, if it needs it
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
        """Be the kernel that was asked for, with the output of who asked, and end with it."""
        code = 1
        try:
            ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
            if os.getppid() != source:  # it was killed before it could take this process with it
                os._exit(code)
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
