"""Live progress: a table with a line per run in a terminal, plain lines everywhere else.

It goes to ``sys.__stderr__``: in a cell that Quarto executes, that is the user's terminal.
"""

import sys
import threading
import time
from collections.abc import Collection, Sequence
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pipeline.job import Job, record_death
from pipeline.logger import Logger
from pipeline.process import Event
from pipeline.record import RunRecord

SECONDS_BETWEEN_LINES = 5.0
SECONDS_WITHIN_AN_EPOCH = 30.0  # how far a long epoch has come matters less than how it ended


class Progress:
    """Shows how the runs of an experiment come along, from any thread."""

    def __init__(
        self,
        planned: Sequence[str],
        missing: Collection[str],
        log: Logger | None = None,
        quiet: bool = False,
    ) -> None:
        """Begin with every run, by its id, as whole or waiting; ``quiet`` while there is nothing to do.

        ``log`` is told what happens, too.
        """
        self._log = log
        self._quiet = quiet and not missing
        # In a kernel rich would display HTML in the cell, for which Quarto adds scripts from the web.
        self._console = Console(file=sys.__stderr__, highlight=False, soft_wrap=True, force_jupyter=False)
        self._states = {run_id: "waits" if run_id in missing else "whole, kept" for run_id in planned}
        self._missing = len(missing)
        self._finished = 0
        self._last_line: dict[str, float] = {}
        self._lock = threading.Lock()
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> "Progress":
        kept = len(self._states) - self._missing
        if self._quiet:
            return self
        text = f"{kept} of {len(self._states)} runs are whole and kept; {self._missing} to train."
        self._console.print(Text(text))
        if self._drawn:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawn:
            self._live.stop()

    @property
    def _drawn(self) -> bool:
        return self._console.is_terminal and self._missing > 0

    def show(self, event: Event) -> None:
        """Show one event of a run: its stage, and its epoch if it trains."""
        run_id = event["run_id"]
        with self._lock:
            self._states[run_id] = describe(event)
            if not self._drawn and self._is_due(run_id, event):
                self._console.print(Text(f"{run_id}: {self._states[run_id]}"))
        if self._log:
            self._log.show(event)

    def settle(self, job: Job, last_words: str) -> None:
        """Show how a job ended; one whose process died, with some last words, is recorded as failed."""
        if last_words:
            record_death(job, last_words)
        self.done(job.run_id, RunRecord.read(job.final))

    def done(self, run_id: str, record: RunRecord) -> None:
        """Show how a run ended."""
        with self._lock:
            self._finished += 1
            self._states[run_id] = _ending(record)
            if not self._drawn:
                count = f"[{self._finished}/{self._missing}]"
                self._console.print(Text(f"{count} {run_id}: {self._states[run_id]}"))
        if self._log:
            self._log.done(record)

    def _is_due(self, run_id: str, event: Event) -> bool:
        """Whether enough time has passed for another plain line; a log wants few of them."""
        now = time.monotonic()
        within = "epoch" in event and "val_loss" not in event
        pause = SECONDS_WITHIN_AN_EPOCH if within else SECONDS_BETWEEN_LINES
        if now - self._last_line.get(run_id, 0.0) < pause and event.get("stage") != "waiting":
            return False
        self._last_line[run_id] = now
        return True

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for run_id, state in self._states.items():
            table.add_row(Text(run_id, style="bold"), Text(state))
        return table


def describe(event: Event) -> str:
    """Return one event in words, as "epoch 3/10, val accuracy 81.2 %, 1,950 images/s, 12 s left"."""
    if event.get("stage") == "waiting":
        return "another process works on it; waiting for that"
    if "epoch" not in event:
        return f"{event.get('stage', 'works')} …"
    parts = [f"epoch {event['epoch']}/{event.get('epochs', '?')}"]
    if event.get("val_loss") is not None:
        parts.append(f"val loss {event['val_loss']:.3f}")
    if event.get("val_accuracy") is not None:
        parts.append(f"val accuracy {event['val_accuracy']:.1%}")
    if event.get("images_per_second"):
        parts.append(f"{event['images_per_second']:,.0f} images/s")
    if event.get("eta_seconds") is not None:
        parts.append(f"{event['eta_seconds']:,.0f} s left")
    return ", ".join(parts)


def _ending(record: RunRecord) -> str:
    details = record.details
    if details.failure is not None:
        where = f" in cell {details.failure.cell}" if details.failure.cell else ""
        return f"FAILED{where}: {details.failure.message}"
    assert details.timings is not None
    return f"done in {details.timings.papermill_seconds or details.timings.train_seconds:,.0f} s"
