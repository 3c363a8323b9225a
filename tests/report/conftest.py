"""Made-up studies and one whole report, written once for all tests of the report."""

from collections.abc import Callable

import pytest

from pipeline.report.study import Study
from tests.conftest import made_once
from tests.made_records import made_study
from tests.report.made_report import KIND, Report, render_made

StudyOf = Callable[[str], Study]


@pytest.fixture(scope="session")
def study_of(tmp_path_factory: pytest.TempPathFactory) -> StudyOf:
    """Return the study of one of ``made_records.KINDS``."""
    kept: dict[str, Study] = {}

    def study(kind: str) -> Study:
        if kind not in kept:
            kept[kind] = made_study(tmp_path_factory.mktemp(kind), kind)
        return kept[kind]

    return study


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """The report of five models, one seed each, by the embedded renderer."""
    folder = made_once(tmp_path_factory, "report", lambda folder: render_made(folder, KIND, "embedded"))
    return Report.of(folder, KIND)
