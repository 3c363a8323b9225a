"""The kernel that notebooks and the report run in: this environment's own Python, warm where that pays.

A user's ``python3`` kernelspec may point to another environment, so none is looked up. Works with
Papermill and nbclient alike::

    papermill.execute_notebook(source, target, **own_kernel())

Starting Python, IPython and PyTorch takes a kernel about five seconds, which every run would pay again.
While ``warm_kernels`` is open, kernels are forked from a process that has imported everything already:
what was imported there is there in the fork, and nothing else is shared between runs. Linux only:
elsewhere, wherever that process cannot be reached, for training where there may be a GPU, and where
HEADSTART_WARM is 0, they start the ordinary way.
"""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from pipeline import gpus
from pipeline.errors import HeadstartError
from pipeline.surroundings import own_environment

KERNEL_NAME = "python3"
START_SECONDS = 300
PROVISIONER = EntryPoint(
    "headstart-warm", "pipeline.kernel:WarmProvisioner", KernelProvisionerFactory.GROUP_NAME
)
SWITCH = "HEADSTART_WARM"  # "0" turns warm kernels off
SOCKET_VARIABLE = "HEADSTART_WARM_SOCKET"
LONGEST_PATH = 100  # of a socket, in bytes; Linux allows 107
FORK_SECONDS = 120.0  # how long a kernel waits for the imports of the first one
KERNEL = ("ipykernel.kernelapp", "ipykernel.ipkernel", "matplotlib.pyplot")
LEARNING = (
    *KERNEL,
    "pipeline.learn.baselines",
    "pipeline.learn.data.dataset",
    "pipeline.learn.evaluate",
    "pipeline.learn.models",
    "pipeline.learn.train",
    "torch._dynamo",  # every optimizer imports it
    "torch.utils.flop_counter",
)
REPORTING = (
    *KERNEL,
    "pipeline.run",
    "pipeline.report.chapters",
    "pipeline.report.page",
    "pipeline.report.results_json",
    "pipeline.report.look.svg",
)


class OwnKernelManager(AsyncKernelManager):
    """A kernel manager that starts ``sys.executable``, whatever kernelspecs are installed.

    Where ``warm_kernels`` is open, the kernel is forked from its process.
    """

    def __init__(self, **options: Any) -> None:
        """Encrypt the connection where jupyter_client (8.9 and later) and ZeroMQ can."""
        super().__init__(**options)
        KernelProvisionerFactory.instance().provisioners[PROVISIONER.name] = PROVISIONER
        if self.has_trait("transport_encryption") and zmq.has("curve"):
            self.transport_encryption = "auto"

    @property
    def kernel_spec(self) -> KernelSpec:
        """The only kernelspec there is."""
        own = _own_spec()
        own.metadata["kernel_provisioner"] = {"provisioner_name": PROVISIONER.name}
        return own


def _own_spec() -> KernelSpec:
    """Return the kernelspec of this Python; its own log would mix with the progress on stderr."""
    start = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    return KernelSpec(
        argv=[*start, "--IPKernelApp.log_level=50", "--IPKernelApp.ignore_cwd=True"],
        display_name=f"Python {sys.version_info.major}.{sys.version_info.minor} (Headstart)",
        language="python",
        metadata={"supported_encryption": ["curve"]},
    )


def own_kernel() -> dict[str, Any]:
    """Return the keyword arguments that make ``papermill.execute_notebook`` use this Python.

    Raises HeadstartError, naming the Python, when ipykernel is not installed in it.
    """
    check_kernel()
    return {
        "kernel_name": KERNEL_NAME,
        "kernel_manager_class": OwnKernelManager,
        "language": "python",
        "start_timeout": START_SECONDS,
    }


def check_kernel() -> None:
    """Raise HeadstartError when this Python cannot start a kernel."""
    if importlib.util.find_spec("ipykernel") is None:
        raise HeadstartError(
            f"{sys.executable}: ipykernel is not installed in this Python, so no notebook can run; "
            f"install it with '{sys.executable} -m pip install ipykernel', or run Headstart with the "
            "Python of its own environment."
        )


def write_kernelspec(folder: Path) -> None:
    """Write a ``python3`` kernelspec of this Python below ``folder``, to put on JUPYTER_PATH.

    For programs, such as Quarto, that start their kernels themselves.
    """
    target = folder / "kernels" / KERNEL_NAME
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(_own_spec().to_json(), encoding="utf-8")


@contextlib.contextmanager
def warm_kernels(imported: Sequence[str]) -> Iterator[None]:
    """Have kernels that are started in this block, here or in child processes, forked.

    They come from a process that has ``imported`` these modules. An inner block wins over an outer. Those
    that learn are not forked where there may be a GPU: CUDA cannot be used in a fork of a process that
    has asked for it, and any module may ask while it is imported.
    """
    with tempfile.TemporaryDirectory(prefix="headstart-") as folder:
        path = str(Path(folder) / "kernels")
        if not _can_be_warm(path) or (imported == LEARNING and gpus.may_be_there()):
            yield
            return
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


class ForkedKernel:
    """A kernel as ``subprocess.Popen`` shows a process; its parent is the process of ``warm_kernels``.

    Raises OSError when that cannot be reached.
    """

    stdin = stdout = stderr = None

    def __init__(self, arguments: list[str], environment: dict[str, str], folder: str):
        self.returncode: int | None = None
        self._connection = _connected(os.environ[SOCKET_VARIABLE])
        try:
            self.pid = self._ask({"arguments": arguments, "environment": environment, "folder": folder})
        except BaseException:
            self._connection.close()
            raise

    def _ask(self, request: dict[str, Any]) -> int:
        message = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._connection, [message], [1, 2])
        self._connection.sendall(message[sent:])
        said = self._connection.recv(64)
        if not said:
            raise ConnectionError("the process that forks kernels has ended")
        self._connection.setblocking(False)
        return int(said)

    def poll(self) -> int | None:
        """Return the exit code, or None while the kernel lives."""
        if self.returncode is None:
            try:
                said = self._connection.recv(64)
            except BlockingIOError:
                return None
            except ConnectionResetError:
                said = b""
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
    """Connect to the process of ``warm_kernels``, which may have been started a moment ago."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    end = time.monotonic() + 10
    while True:
        try:
            connection.connect(path)
        except OSError as error:
            starting = isinstance(error, FileNotFoundError | ConnectionRefusedError)
            if not starting or time.monotonic() > end:
                connection.close()
                raise
            time.sleep(0.02)
        else:
            connection.settimeout(FORK_SECONDS)
            return connection


class WarmProvisioner(LocalProvisioner):
    """Starts kernels by forking where it can, and as a new process where it cannot.

    Each has an IPython profile of its own, empty and for as long as it lives.
    """

    _profile: str | None = None

    async def pre_launch(self, **options: Any) -> dict[str, Any]:
        """Keep the user's own configuration of Python and IPython from the kernel."""
        self._profile = self._profile or tempfile.mkdtemp(prefix="headstart-ipython-")
        options["env"] = {**own_environment(options.get("env")), "IPYTHONDIR": self._profile}
        return await super().pre_launch(**options)

    async def cleanup(self, restart: bool = False) -> None:
        """Remove the profile when the kernel is not wanted any more."""
        await super().cleanup(restart=restart)
        if self._profile and not restart:
            shutil.rmtree(self._profile, ignore_errors=True)

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
