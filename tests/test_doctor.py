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


def test_quarto_of_long_ago_is_a_remark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.report.render.engines.unfit_quarto", lambda: "it is Quarto 1.3")
    monkeypatch.setattr(doctor.shutil, "which", lambda name: "/usr/bin/quarto")

    quarto = doctor._quarto()

    assert (quarto.ok, quarto.mark) == (True, "note")
    assert quarto.text == "it is Quarto 1.3; the embedded renderer writes the same report"


def test_missing_data_fails_with_its_remedy(workplace: Path) -> None:
    Path("x.yaml").write_text(
        "dataset: image_folder\ndata_dir: nowhere\nmodels: [custom_cnn]", encoding="utf-8"
    )

    data = findings(Path("x.yaml"))["data"]

    assert (data.ok, data.mark) == (False, "FAIL")
    assert "nowhere" in data.text


@pytest.mark.parametrize(("difference", "ok"), [(0.0005, True), (0.3, False), (float("nan"), False)])
def test_a_gpu_that_computes_otherwise_than_the_cpu_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, difference: float, ok: bool
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: True)
    monkeypatch.setattr("pipeline.learn.arithmetic.difference", lambda device: difference)

    found = doctor._gpu()

    assert found.ok == ok
    assert ("agrees with the CPU's" if ok else "set device: cpu") in found.text


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Finding:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr(doctor, "_disk", broken)

    assert findings(ROOT / "params" / "smoke.yaml")["broken"].text == "RuntimeError: two lines"
