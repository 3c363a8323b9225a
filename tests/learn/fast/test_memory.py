"""Memory that is freed is kept for the next step."""

import platform
import subprocess
import sys

import pytest

KEEPS = """
import resource, sys
import numpy as np
from pipeline.learn import memory
if sys.argv[1] == "kept":
    memory.keep_freed()
def step():
    for megabytes in (90, 30, 5):
        np.ones(megabytes << 20, np.uint8)
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc is told")
def test_memory_that_is_freed_is_taken_again_without_new_pages() -> None:
    new_pages = {
        how: int(
            subprocess.run(
                [sys.executable, "-c", KEEPS, how], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("kept", "given back")
    }

    assert new_pages["kept"] < 50
    assert new_pages["given back"] > 50
