"""Memory that a process takes for itself is counted, the same in forks and where Linux does not tell."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline.learn import memory

MEGABYTE = 2**20
TAKES = """
import mmap, os, sys
from pathlib import Path
from pipeline.learn import memory
before = memory.in_use()
taken = b"x" * (200 << 20)
with open(sys.argv[1], "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
seen = sum(mapped[i] for i in range(0, len(mapped), 4096))
after = memory.most()
del taken
print((after - before) >> 20, (memory.most() - before) >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells files in memory from a process's own")
@pytest.mark.parametrize("forked", [False, True])
def test_the_most_is_what_a_process_took_and_not_what_it_read(tmp_path: Path, forked: bool) -> None:
    file = tmp_path / "read"
    file.write_bytes(b"\1" * (100 * MEGABYTE))
    fork = (
        "import os\nif os.fork():\n    os._exit(os.waitstatus_to_exitcode(os.wait()[1]))\n" if forked else ""
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import pipeline.learn.memory, numpy\n{fork}{TAKES}", str(file)],
        capture_output=True,
        text=True,
        check=True,
    )
    after, once_freed = map(int, done.stdout.split())

    assert 195 <= after <= 215
    assert 190 <= once_freed <= 215


def test_without_linux_the_largest_resident_set_stands_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(memory, "STATUS", tmp_path / "missing")
    before = memory.in_use()
    held = np.ones(50 * MEGABYTE, np.uint8)

    assert memory.most() >= before > 0
    assert held.nbytes == 50 * MEGABYTE


def test_memory_is_told_where_there_is_no_resource_module(monkeypatch: pytest.MonkeyPatch) -> None:
    class Windows:
        def memory_info(self) -> "Windows":
            return self

        peak_wset = 7 * MEGABYTE

    monkeypatch.setattr(memory, "STATUS", Path("/nowhere"))
    monkeypatch.delattr(memory, "resource")
    monkeypatch.setattr("psutil.Process", Windows)

    assert memory.most() == memory.in_use() == 7 * MEGABYTE
