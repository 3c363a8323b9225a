"""The kernel that notebooks and the report run in: always this environment's own Python.

A user's ``python3`` kernelspec may point to another environment, so none is looked up. Works with
Papermill and nbclient alike::

    papermill.execute_notebook(source, target, **own_kernel())
"""

import importlib.util
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import zmq
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import KernelProvisionerFactory

from pipeline.errors import HeadstartError

KERNEL_NAME = "python3"
START_SECONDS = 300
PROVISIONER = EntryPoint(
    "headstart-warm", "pipeline.warm:WarmProvisioner", KernelProvisionerFactory.GROUP_NAME
)


class OwnKernelManager(AsyncKernelManager):
    """A kernel manager that starts ``sys.executable``, whatever kernelspecs are installed.

    Where ``warm.kernels`` is open, the kernel is forked from its process.
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
    return KernelSpec(
        argv=[
            sys.executable,
            "-m",
            "ipykernel_launcher",
            "-f",
            "{connection_file}",
            "--IPKernelApp.log_level=50",
        ],
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
