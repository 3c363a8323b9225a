"""One render of every feature, shared by all tests that look at its page and its paper."""

import pytest

from tests.report.embedded.tools import Report, render_fixture


@pytest.fixture(scope="session")
def every_feature() -> Report:
    return render_fixture("every_feature.qmd", params_file="params/own.yaml")


@pytest.fixture(scope="session")
def hostile_text() -> Report:
    return render_fixture("hostile_text.qmd")
