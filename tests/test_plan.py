"""What makes a run another run, and what does not."""

import ast
import json
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline import plan, source
from pipeline.experiment import Experiment, RunSettings
from pipeline.files import digest
from pipeline.plan import source_hash
from pipeline.record import RunRecord
from pipeline.source import NO_RESULT, code_alone, code_hash
from tests.conftest import ROOT
from tests.made_records import KINDS, write_experiment

LEARN = ROOT / "pipeline" / "learn"
# Every other module of the room can change a result: how images are read, what learns, how, and the answers.
WITHOUT_RESULT = {
    "audit/__init__.py",
    "audit/labels.py",
    "audit/properties.py",
    "audit/search.py",
    "download.py",
    "energy.py",
    "gallery.py",
    "models/summary.py",
    "speed.py",
}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the training room that a test may edit; return its folder."""
    shutil.copytree(LEARN, tmp_path / "learn")
    monkeypatch.setattr(source, "PACKAGE", tmp_path)
    return tmp_path / "learn"


def hashed() -> str:
    return source_hash.__wrapped__()


def names(marked: bool) -> list[str]:
    found = ((path, NO_RESULT in path.read_text(encoding="utf-8")) for path in sorted(LEARN.rglob("*.py")))
    return [str(path.relative_to(LEARN)) for path, has_mark in found if has_mark == marked]


def test_modules_without_a_result_are_those_that_were_looked_at() -> None:
    assert set(names(marked=True)) == WITHOUT_RESULT


def hashed_with_an_edit_of(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\nANOTHER = 1\n", encoding="utf-8")
    found = hashed()
    path.write_text(text, encoding="utf-8")
    return found


def test_edit_of_a_module_without_a_result_trains_nothing_again(copied: Path) -> None:
    before = hashed()
    assert [name for name in WITHOUT_RESULT if hashed_with_an_edit_of(copied / name) != before] == []


def test_edit_of_any_other_module_of_the_room_trains_again(copied: Path) -> None:
    before = hashed()
    others = [name for name in names(marked=False) if not name.endswith("__init__.py")]
    assert len(others) >= 40
    assert [name for name in others if hashed_with_an_edit_of(copied / name) == before] == []
    assert hashed() == before


def test_moved_module_trains_nothing_again(copied: Path) -> None:
    before = hashed()
    (copied / "optimizers.py").rename(copied / "data" / "steps.py")

    assert hashed() == before


SOURCE = '''"""A module."""

import os  # a comment


class A:
    """A class."""

    text = "# no comment"  # one

    def f(self, x: int) -> str:
        """A function.

        With two lines.
        """
        # another comment
        match x:
            case 1:
                return f"{x!r:>{3}} # {'a'} "
        return f"""
        "no docstring"
        """
'''
ALONE = '''import os
class A:
    text = "# no comment"
    def f(self, x: int) -> str:
        match x:
            case 1:
                return f"{x!r:>{3}} # {'a'} "
        return f"""
        "no docstring"
        """'''


def test_comments_and_docstrings_are_left_out() -> None:
    assert code_alone(SOURCE) == ALONE
    assert ast.dump(ast.parse(code_alone(ALONE))) == ast.dump(ast.parse(ALONE))


def interpreter(version: str) -> str | None:
    """Return a Python of this version that starts: on the PATH, or where pyenv or uv keep theirs."""
    kept = (Path.home() / ".pyenv" / "versions", Path.home() / ".local" / "share" / "uv" / "python")
    found = [str(path) for folder in kept for path in folder.glob(f"*{version}.*/bin/python{version}")]
    for python in (f"python{version}", *found):
        with suppress(OSError):
            if subprocess.run([python, "-c", ""], check=False, stderr=subprocess.DEVNULL).returncode == 0:
                return python
    return None


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_identity_is_the_same_under_every_python(version: str) -> None:
    python = interpreter(version)
    if python is None:
        pytest.skip(f"needs Python {version}, on the PATH or from pyenv or uv")
    settings = {**RunSettings().identity(), "rate": 1e-3, "share": 0.1 + 0.2, "name": "Übung ミ"}
    program = (
        "import json, sys; from pipeline.files import digest; from pipeline import source\n"
        "given = json.load(sys.stdin)\n"
        "alone = source.code_alone(given['source'])\n"
        "print(json.dumps([alone, source.code_hash(), digest(given['settings'])]))"
    )
    done = subprocess.run(
        [python, "-c", program],
        input=json.dumps({"source": SOURCE, "settings": settings}),
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={"PYTHONDONTWRITEBYTECODE": "1"},
    )

    assert json.loads(done.stdout) == [ALONE, code_hash(), digest(settings)]


IDLE = [
    ("widths", {"model": "resnet18", "widths": [3]}),
    ("head_epochs", {"head_epochs": 9}),
    ("feature_views", {"feature_views": 9}),
    ("momentum", {"optimizer": "adam", "momentum": 0.1}),
    ("warmup_epochs", {"schedule": "one_cycle", "warmup_epochs": 1.0}),
    ("crop_share", {"augmentation": ["flip"], "crop_share": 0.3}),
    ("num_workers", {"num_workers": 3}),
    ("data_dir", {"data_dir": "elsewhere"}),
]
USED = [
    ("widths", {"model": "custom_cnn", "widths": [3]}),
    ("head_epochs", {"model": "resnet18", "mode": "fine_tune", "head_epochs": 9}),
    ("feature_views", {"model": "resnet18", "mode": "linear_probe", "feature_views": 9}),
    ("momentum", {"optimizer": "muon", "momentum": 0.1}),
    ("warmup_epochs", {"schedule": "cosine", "warmup_epochs": 1.0}),
    ("crop_share", {"augmentation": ["crop"], "crop_share": 0.3}),
    ("weights", {"model": "resnet18", "mode": "fine_tune", "weights": "w.pth"}),
]


@pytest.mark.parametrize(("name", "changed"), IDLE)
def test_setting_without_effect_is_not_said_to_have_been_used(name: str, changed: dict[str, object]) -> None:
    settings = RunSettings(**changed)  # type: ignore[arg-type]
    default = settings.model_copy(update={name: RunSettings.model_fields[name].default})

    assert name not in settings.effective()
    assert settings.identity() == default.identity()


@pytest.mark.parametrize(("name", "changed"), USED)
def test_setting_with_an_effect_makes_another_run(name: str, changed: dict[str, object]) -> None:
    settings = RunSettings(**changed)  # type: ignore[arg-type]
    default = settings.model_copy(update={name: RunSettings.model_fields[name].default})

    assert settings.effective()[name] == changed[name]
    assert settings.identity() != default.identity()


def test_what_is_measured_is_used_but_no_part_of_the_settings_that_identify() -> None:
    assert RunSettings(precision="fp32").effective()["precision"] == "fp32"
    assert RunSettings(precision="fp32").identity() == RunSettings(precision="bf16").identity()


def test_why_says_which_torch_trained_a_run_and_which_is_here(workplace: Path) -> None:
    write_experiment(workplace, "made", *KINDS["one_model"])
    record = RunRecord.read(next(Path("runs").glob("*/record.json")).parent)
    assert record.details.environment is not None
    trained = record.details.environment.packages["torch"]

    said = plan._trained_with(record)

    assert f"trained with torch {trained}" in said
    assert (", here is " in said) == (plan.version("torch") != trained)


def test_two_entries_that_differ_in_nothing_that_has_an_effect_are_refused(workplace: Path) -> None:
    Path("x.yaml").write_text(
        json.dumps({"models": [{"model": "custom_cnn"}, {"model": "custom_cnn", "head_epochs": 9}]}),
        encoding="utf-8",
    )
    with pytest.raises(
        Exception, match="twice with the same settings \\(head_epochs without effect there\\)"
    ):
        Experiment.from_yaml("x.yaml")


def test_hash_of_the_code_does_not_depend_on_the_process() -> None:
    says = "from pipeline.plan import source_hash; print(source_hash())"
    done = subprocess.run([sys.executable, "-c", says], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.strip() == source_hash()


def test_planning_again_without_a_gpu_does_not_import_pytorch(workplace: Path) -> None:
    if plan._processor_alone() is None:
        pytest.skip("a GPU may be here, or the processor does not say what it can do")
    Path("x.yaml").write_text("dataset: digits\nmodels: [{model: custom_cnn}]\n", encoding="utf-8")
    asked = (
        "import sys; from pipeline.experiment import Experiment; from pipeline.plan import plan; "
        "print(plan(Experiment.from_yaml('x.yaml'))[0].hashes['hardware'], 'torch' in sys.modules)"
    )
    (first,) = plan.plan(Experiment.from_yaml("x.yaml"))
    again = subprocess.check_output([sys.executable, "-c", asked], text=True).strip()
    assert again == f"{first.hashes['hardware']} False"


def test_kept_hardware_is_asked_again_of_another_pytorch_or_processor(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "_processor_alone", lambda: "flags: made up")
    plan.hardware(RunSettings())
    monkeypatch.setattr(plan, "version", lambda _: "9.9.9")
    plan.hardware(RunSettings())
    monkeypatch.setattr(plan, "_processor_alone", lambda: "flags: others")
    plan.hardware(RunSettings())
    assert len(list(Path("cache").glob("hardware-*.json"))) == 3
