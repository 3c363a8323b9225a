"""Every error that Headstart raises on purpose, and the exit code each ends the program with.

::

    HeadstartError             1
    ├── InputError             2   what the user gave cannot be used
    │   ├── SettingsError      2   a params file, or one of its keys
    │   ├── DataError          2   a data set
    │   ├── ModelError         2   a model name, a mode or a weights file
    │   └── UnsupportedSyntaxError 2   report.qmd uses what the embedded renderer does not know
    ├── RunError               1   a training run failed
    ├── RecordError            1   a run's folder is damaged
    └── RenderError            1   Quarto, Pandoc or Typst failed

Each message is one line that says what failed, where, what was found, what is allowed and what to
do next.
"""

import difflib
import errno
import os
import re
import tempfile
from collections.abc import Iterable


class HeadstartError(Exception):
    """The root of all errors that are reported in one line."""

    exit_code = 1


class InputError(HeadstartError):
    """Something the user gave cannot be used; no work was started or lost."""

    exit_code = 2


class SettingsError(InputError):
    """A params file, or a key in it, is wrong."""


class DataError(InputError):
    """A data set is missing, damaged or too small."""


class ModelError(InputError):
    """A model name, its mode or its weights cannot be used."""


class UnsupportedSyntaxError(InputError):
    """The report uses a part of Quarto that the embedded renderer does not know."""


class RunError(HeadstartError):
    """A training run failed; its notebook is kept."""


class RecordError(HeadstartError):
    """A run's folder is damaged or was written by another version."""


class RenderError(HeadstartError):
    """The report could not be written."""


def one_line(text: object, limit: int = 400) -> str:
    """Return ``text`` without line breaks or control characters, cut to ``limit`` characters."""
    flat = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def _plain(name: str) -> str:
    """Return a name as people compare it; of a path, the separators stay."""
    return re.sub(r"[-_ ]", "", name.casefold())


def no_room(message: str) -> str:
    """Return where room is missing, for the message of a full disk that names no file; else nothing."""
    if os.strerror(errno.ENOSPC) not in message:
        return ""
    return f" in {tempfile.gettempdir()}, where temporary files go (TMPDIR), or in the current folder"


def did_you_mean(name: str, known: Iterable[str], count: int = 1) -> str:
    """Return " Did you mean 'x'?" with the closest known names, or an empty string.

    Capitals and separators make no difference: VGG-16 is vgg16, and learning-rate learning_rate.
    """
    plain: dict[str, str] = {}
    for one in known:
        plain.setdefault(_plain(one), one)
    close = [plain[one] for one in difflib.get_close_matches(_plain(str(name)), list(plain), count, 0.5)]
    return f" Did you mean {' or '.join(repr(c) for c in close)}?" if close else ""
