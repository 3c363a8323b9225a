"""What the tests of rendering share."""

from collections.abc import Iterator

import pytest

from pipeline.forker import KERNEL, warm_processes


@pytest.fixture(scope="module")
def small_kernels() -> Iterator[None]:
    """Fork the kernels of small documents from a process that has imported what starts one."""
    with warm_processes(KERNEL):
        yield
