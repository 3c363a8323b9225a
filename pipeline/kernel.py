"""The kernel that notebooks and the report run in: this environment's own Python, warm where that pays.

A user's ``python3`` kernelspec may point to another environment, so none is looked up. Works with
Papermill and nbclient alike::

    papermill.execute_notebook(source, target, **own_kernel())
"""

import importlib.util
import os
import shutil
import sys
import tempfile
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from pipeline.errors import HeadstartError
from pipeline.forker import SOCKET_VARIABLE, ForkedProcess
from pipeline.surroundings import own_environment

KERNEL_NAME = "python3"
START_SECONDS = 300
PROVISIONER = EntryPoint(
    "headstart-warm", "pipeline.kernel:WarmProvisioner", KernelProvisionerFactory.GROUP_NAME
)


class OwnKernelManager(AsyncKernelManager):
    """A kernel manager that starts ``sys.executable``, whatever kernelspecs are installed.

    Where ``warm_processes`` is open, the kernel is forked from its process.
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
                kernel: Any = _forked(cmd[3:], options.get("env"), options.get("cwd"))
            except (OSError, ValueError):
                pass
            else:
                self.process = kernel
                self.pid = self.pgid = kernel.pid  # it leads a session, and so a group, of its own
                return self.connection_info
        return await super().launch_kernel(cmd, **options)


def _forked(arguments: list[str], environment: dict[str, str] | None, folder: str | None) -> ForkedProcess:
    """Fork a kernel, with this process's output. Raises OSError where that cannot be."""
    own = {**(environment or os.environ), SOCKET_VARIABLE: os.environ[SOCKET_VARIABLE]}
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123 (os.devnull is text)
        return ForkedProcess(
            "ipykernel.kernelapp:launch_new_instance",
            arguments,
            own,
            folder or str(Path.cwd()),
            (nothing.fileno(), 1, 2),
        )
