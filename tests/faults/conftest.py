"""The driver is started once."""

from collections.abc import Iterator

import pytest

from tests.faults.runs import Driver


@pytest.fixture(scope="session")
def driver() -> Iterator[Driver]:
    """Makes runs in forks of one process."""
    started = Driver()
    with started.process:
        yield started
