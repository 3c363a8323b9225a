"""Run the cells and the inline code of a document, once for all formats, in one kernel."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from papermill.translators import translate_parameters

from pipeline.errors import InputError, RenderError, no_room, one_line
from pipeline.kernel import KERNEL_NAME, START_SECONDS, OwnKernelManager, check_kernel
from pipeline.report.render.notebook import title

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Where an error arose inside a cell, as IPython's traceback names it.
TRACEBACK_LINE = re.compile(r"(?:Cell In\[\d+\], line |<ipython-input[^\n]*?:)(\d+)")


def execute(
    notebook: NotebookNode, folder: Path, parameters: Mapping[str, Any], environment: Mapping[str, str]
) -> None:
    """Run every cell in order in ``folder``, the parameters after the cell tagged ``parameters``.

    The kernel's real stderr is this process's, so progress printed there shows live. Raises
    RenderError that names the cell, its line and its error.
    """
    check_kernel()
    _insert(notebook, parameters)
    wanted = [number for number, cell in enumerate(notebook.cells) if _is_run(cell)]
    if not wanted:
        return
    client = NotebookClient(
        notebook,
        kernel_name=KERNEL_NAME,
        kernel_manager_class=OwnKernelManager,
        startup_timeout=START_SECONDS,
        timeout=None,
        resources={"metadata": {"path": str(folder)}},
    )
    with client.setup_kernel(env={**os.environ, **environment}):
        for number in wanted:
            _run(client, number)


def _insert(notebook: NotebookNode, parameters: Mapping[str, Any]) -> None:
    """Put a cell that sets the parameters behind the one that declares them, as Papermill does."""
    if not parameters:
        return
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code" and "parameters" in cell.metadata.options.get("tags", ()):
            code = translate_parameters(KERNEL_NAME, "python", dict(parameters), "Parameters")
            notebook.cells.insert(number + 1, new_code_cell(code, metadata=dict(cell.metadata)))
            return
    raise InputError(
        f"{notebook.metadata.name}: no cell is tagged 'parameters', so {', '.join(parameters)} cannot be "
        "set; add '#| tags: [parameters]' to the cell that defines it."
    )


def _is_run(cell: NotebookNode) -> bool:
    return cell.cell_type == "code" and cell.metadata.options.get("eval", True)


def _run(client: NotebookClient, number: int) -> None:
    cell = client.nb.cells[number]
    try:
        client.execute_cell(cell, number)
    except CellExecutionError as error:
        lines = TRACEBACK_LINE.findall(ANSI.sub("", error.traceback))
        line = cell.metadata.code + int(lines[0]) - 1 if lines else cell.metadata.line
        problem = f"{error.ename}: {error.evalue}{no_room(error.evalue)}"
    except DeadKernelError:
        line, problem = cell.metadata.line, "the kernel died (out of memory?)"
    else:
        return
    place = f"{client.nb.metadata.name}:{line}"
    raise RenderError(f"{place}: {title(cell)} failed: {one_line(problem)}")
