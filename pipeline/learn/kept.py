"""JSON that can be made again at any time: read with its checksum, or not at all."""

import json
import logging
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline.errors import one_line
from pipeline.record import digest, write_json

log = logging.getLogger(__name__)


def write_kept(path: Path, content: object) -> None:
    """Write content with its checksum, where that is possible: without it, the next time takes as long."""
    with suppress(OSError, ValueError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, {"sha256": digest(content), "content": content})


def read_kept(path: Path) -> Any:
    """Return what ``write_kept`` wrote; None when there is none, or when it is damaged, which is said."""
    try:
        whole = json.loads(path.read_text(encoding="utf-8"))
        content = whole["content"]
        if digest(content) != whole["sha256"]:
            raise ValueError("its checksum is wrong")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        log.warning("%s: damaged (%s); it is made again.", path, one_line(error, 80))
        return None
    return content
