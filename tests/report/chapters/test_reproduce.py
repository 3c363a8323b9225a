from pipeline.report.chapters import (
    reproduce,
)
from tests.report.chapters.tools import (
    grid,
)
from tests.report.conftest import StudyOf


def test_runs_tell_why_they_failed(study_of: StudyOf) -> None:
    rows = grid(reproduce.runs(study_of("failed_run")))[1:]
    assert len(rows) == 4
    assert sum("failed in cell 5 (fit): out of memory" in row[2] for row in rows) == 2
