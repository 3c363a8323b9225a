"""headstart predict, as a user types it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline import cli
from pipeline.confidence import unsure_below
from pipeline.inference import Predictor
from pipeline.record import RunRecord

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Forty test images, in one folder for each class."""
    predictor = Predictor.from_run("runs/run", likeness=False)
    test = predictor.data.test
    for i in range(40):
        place = tmp_path / "images" / predictor.classes[int(test.targets[i])]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(test.pixels[i].numpy()).save(place / f"{i:03}.png")
    return tmp_path / "images"


def test_folder_of_classes_becomes_a_table_and_scores(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    assert cli.main(["predict", "reports/made", str(folder), "-o", str(out)]) == 0
    table = pd.read_csv(out)
    assert list(table) == ["file", "prediction", "probability", "unsure", "unlike_training"]
    number = [int(Path(file).stem) for file in table["file"]]
    predicted = RunRecord.read(Path("runs/run")).split("test").predicted[number]
    assert list(table["prediction"].astype(str)) == [str(p) for p in predicted]
    below = unsure_below(RunRecord.read(Path("runs/run")).split("val"))
    assert (table["unsure"] == (table["probability"] < below.confidence)).all()
    printed = capsys.readouterr()
    assert f"Unsure (probability below {below.confidence}: {below.reason}): " in printed.out
    assert "Accuracy: " in printed.out
    assert "95 % interval" in printed.out
    assert "40 of 40 images" in printed.err


def test_folders_that_are_no_classes_are_answered_and_said_to_be_unscored(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, inside in enumerate(sorted(folder.iterdir())):
        inside.rename(folder / f"day{number}")
    assert cli.main(["predict", "reports/made", str(folder), "-o", str(tmp_path / "out.csv")]) == 0
    printed = capsys.readouterr().out
    assert "its folders (day0, day1, day2, day3, …) are no classes of this network" in printed
    assert "Accuracy" not in printed


def test_all_adds_ranks_and_a_probability_for_each_class(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    assert cli.main(["predict", "runs/run", str(folder), "-o", str(out), "--all"]) == 0
    table = pd.read_parquet(out)
    chances = table[[f"probability_{k}" for k in range(10)]].to_numpy()
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert np.allclose(chances.max(axis=1), table["probability"])
    ranked = np.argsort(-chances, axis=1)
    assert list(table["second"]) == [str(k) for k in ranked[:, 1]]
    assert list(table["third"]) == [str(k) for k in ranked[:, 2]]


def test_table_of_files_gives_images_and_labels(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(folder.rglob("*.png"))
    listed = pd.DataFrame(
        {"file": [f.relative_to(tmp_path) for f in files], "label": [f.parent.name for f in files]}
    )
    listed.to_csv(tmp_path / "list.csv", index=False)
    arguments = ["predict", "runs/run", str(tmp_path / "list.csv"), "-o", str(tmp_path / "out.csv")]
    assert cli.main(arguments) == 0
    assert "Accuracy: " in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out.csv")) == 40


def test_unreadable_file_is_named_and_left_out(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "3" / "broken.png").write_bytes(b"")
    assert cli.main(["predict", "runs/run", str(folder), "-o", str(tmp_path / "out.csv")]) == 0
    assert "broken.png: " in capsys.readouterr().out
    assert len(pd.read_csv(tmp_path / "out.csv")) == 40


@pytest.mark.parametrize(
    ("images", "output", "said"),
    [
        ("gone", "out.csv", "no such file"),
        ("empty", "out.csv", "holds no image"),
        ("text", "out.csv", "None of the images can be read"),
        ("mixed", "out.csv", "'zebra', which is no class"),
        ("text", "out.txt", "must end in .csv or .parquet"),
        ("text", "nowhere/out.csv", "no such folder to write to"),
    ],
)
def test_unusable_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], images: str, output: str, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("text/a.png", "mixed/3/a.png", "mixed/zebra/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("no image")
    before = set(tmp_path.rglob("*"))
    assert cli.main(["predict", "runs/run", str(tmp_path / images), "-o", str(tmp_path / output)]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("headstart: ")
    assert said in error
    assert set(tmp_path.rglob("*")) == before


def test_full_disk_leaves_no_half_table(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "out.csv").write_text("old")
    monkeypatch.setattr("pipeline.files.os.fsync", full)
    assert cli.main(["predict", "runs/run", str(folder), "-o", str(tmp_path / "out.csv")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text() == "old"
    assert not list(tmp_path.glob(".out*"))
