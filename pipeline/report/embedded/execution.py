"""Run the cells and the inline code of a document, once for all formats, in one kernel."""

import ast
import os
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from papermill.translators import translate_parameters

from pipeline.errors import InputError, RenderError, one_line
from pipeline.kernel import KERNEL_NAME, START_SECONDS, OwnKernelManager, check_kernel
from pipeline.report.embedded.configuration import Configuration
from pipeline.report.embedded.document import Cell, Document, Text

# Where an error arose inside a cell, as IPython's traceback names it.
TRACEBACK_LINE = re.compile(r"(?:Cell In\[\d+\], line |<ipython-input[^\n]*?:)(\d+)")

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
SPECIAL = re.compile(rf"[{re.escape(string.punctuation)}]")

# The same defaults that Quarto sets before the first cell.
SETUP = """
try:
    import matplotlib.pyplot as _plt
    from matplotlib_inline.backend_inline import set_matplotlib_formats as _formats
    _plt.rcParams["figure.figsize"] = ({width}, {height})
    _plt.rcParams["figure.dpi"] = {dpi}
    _plt.rcParams["savefig.dpi"] = "figure"
    _formats("{format}")
    del _plt, _formats
except ImportError:
    pass
"""


@dataclass
class Results:
    """What a kernel returned: outputs per cell and Markdown per inline expression, by block."""

    outputs: dict[int, list[NotebookNode]] = field(default_factory=dict)
    values: dict[int, list[str]] = field(default_factory=dict)


def execute(
    document: Document,
    parameters: Mapping[str, Any],
    configuration: Configuration,
    environment: Mapping[str, str],
) -> Results:
    """Run every cell in order, the parameters after the cell tagged ``parameters``.

    The kernel's real stderr is this process's, so progress printed there shows live. Raises
    RenderError that names the cell, its line and its error.
    """
    check_kernel()
    _check_parameters(document, parameters)
    if not any(isinstance(block, Cell) or block.expressions() for block in document.blocks):
        return Results()
    runner = _Runner(document, configuration.root)
    with runner.client.setup_kernel(env={**os.environ, **environment}):
        runner.run_code(_setup_code(configuration))
        return runner.run(parameters)


def _check_parameters(document: Document, parameters: Mapping[str, Any]) -> None:
    if parameters and not any("parameters" in cell.tags for cell in document.cells()):
        raise InputError(
            f"{document.name}: no cell is tagged 'parameters', so {', '.join(parameters)} cannot be set; "
            "add '#| tags: [parameters]' to the cell that defines it."
        )


def _setup_code(configuration: Configuration) -> str:
    return SETUP.format(
        width=configuration.get("fig-width", 7),
        height=configuration.get("fig-height", 5),
        dpi=configuration.get("fig-dpi", 96),
        format=configuration.get("fig-format", "svg"),
    )


class _Runner:
    def __init__(self, document: Document, root: Path) -> None:
        self.document = document
        self.client = NotebookClient(
            nbformat.v4.new_notebook(),
            kernel_name=KERNEL_NAME,
            kernel_manager_class=OwnKernelManager,
            startup_timeout=START_SECONDS,
            timeout=None,
            resources={"metadata": {"path": str(root)}},
        )

    def run(self, parameters: Mapping[str, Any]) -> Results:
        results = Results()
        for index, block in enumerate(self.document.blocks):
            if isinstance(block, Text):
                results.values[index] = self.evaluate(block)
            elif block.option("eval", True):
                results.outputs[index] = self.run_cell(block)
                if "parameters" in block.tags and parameters:
                    self.run_code(translate_parameters(KERNEL_NAME, "python", dict(parameters), "Parameters"))
        return results

    def run_code(self, code: str) -> list[NotebookNode]:
        cell = nbformat.v4.new_code_cell(code)
        self.client.nb.cells.append(cell)
        self.client.execute_cell(cell, len(self.client.nb.cells) - 1)
        return cell.outputs

    def run_cell(self, cell: Cell) -> list[NotebookNode]:
        try:
            return self.run_code(cell.source)
        except CellExecutionError as error:
            lines = TRACEBACK_LINE.findall(ANSI.sub("", error.traceback))
            line = cell.source_line + int(lines[0]) - 1 if lines else cell.line
            raise self.failure(line, str(cell), f"{error.ename}: {error.evalue}") from None
        except DeadKernelError:
            raise self.failure(cell.line, str(cell), "the kernel died (out of memory?)") from None

    def evaluate(self, text: Text) -> list[str]:
        """Return the Markdown of each inline expression, all asked in one message."""
        expressions = text.expressions()
        if not expressions:
            return []
        asked = {str(number): code for number, (code, _) in enumerate(expressions)}
        assert self.client.kc is not None
        reply = self.client.wait_for_reply(self.client.kc.execute("", user_expressions=asked))
        if reply is None:
            raise self.failure(text.line, "inline code", "the kernel did not answer")
        answers = reply["content"]["user_expressions"]
        return [
            self.value(answers[str(number)], code, line) for number, (code, line) in enumerate(expressions)
        ]

    def value(self, answer: dict[str, Any], code: str, line: int) -> str:
        if answer["status"] != "ok":
            problem = f"{answer['ename']}: {answer['evalue']}"
            raise self.failure(line, f"inline code '{one_line(code, 60)}'", problem)
        data = answer["data"]
        if "text/markdown" in data:
            return str(data["text/markdown"])
        return escape_markdown(_unquoted(data.get("text/plain", "")))

    def failure(self, line: int, where: str, problem: str) -> RenderError:
        return RenderError(f"{self.document.name}:{line}: {where} failed: {one_line(problem)}")


def _unquoted(text: str) -> str:
    """Return a string's content for its repr, which is what the kernel sends."""
    if text[:1] in ("'", '"'):
        return str(ast.literal_eval(text))
    return text


def escape_markdown(text: str) -> str:
    """Return Markdown that shows ``text`` as it stands, whatever it holds."""
    return SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))
