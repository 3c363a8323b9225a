"""``headstart doctor`` says what is there, and what to do about what is not."""

import sys
from pathlib import Path

import pytest

from pipeline import doctor
from tests.conftest import ROOT


def findings(params: Path) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(params)}


def test_this_environment_is_healthy() -> None:
    found = findings(ROOT / "params" / "smoke.yaml")

    assert list(found) == [
        "Python", "torch", "kernel", "Quarto", "Pandoc", "Typst", "GPU", "arithmetic", "weights",
        "data", "disk",
    ]  # fmt: skip
    assert all(finding.ok for finding in found.values()), found
    assert sys.executable in found["kernel"].text


def test_missing_quarto_is_a_remark_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)

    quarto = findings(ROOT / "params" / "smoke.yaml")["Quarto"]

    assert quarto.ok
    assert quarto.mark == "note"
    assert "conda install" in quarto.text


def test_missing_data_fails_with_its_remedy(workplace: Path) -> None:
    Path("x.yaml").write_text(
        "dataset: image_folder\ndata_dir: nowhere\nmodels: [custom_cnn]", encoding="utf-8"
    )

    data = findings(Path("x.yaml"))["data"]

    assert (data.ok, data.mark) == (False, "FAIL")
    assert "nowhere" in data.text


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Finding:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(doctor, "_disk", broken)

    assert findings(ROOT / "params" / "smoke.yaml")["broken"].text == "RuntimeError: two lines"
