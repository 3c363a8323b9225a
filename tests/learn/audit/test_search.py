"""The audit of a folder with known faults, and what its command says and returns."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline import cli, suspects
from pipeline.learn.audit import labels


def scene(seed: int, size: tuple[int, int] = (32, 32)) -> Image.Image:
    """A picture of soft shapes, as unlike others as photographs are."""
    small = np.random.default_rng(seed).integers(40, 216, (6, 6, 3)).astype(np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


@pytest.fixture
def audited(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A params file on two classes of 20 pictures, with one fault of each kind that needs no network."""
    data = workplace / "data"
    for number, label in enumerate(("cat", "dog")):
        (data / label).mkdir(parents=True)
        for i in range(20):
            scene(100 * number + i).save(data / label / f"{i:02d}.png")
    shutil.copy(data / "cat" / "03.png", data / "dog" / "copied.png")
    scene(4).point(lambda v: v * 0.9 + 12).save(data / "cat" / "brighter.png")
    scene(300).point(lambda v: v * 0.1).save(data / "cat" / "night.png")
    Image.new("RGB", (32, 32), "white").save(data / "dog" / "white.png")
    scene(301, (200, 20)).resize((200, 20)).save(data / "dog" / "strip.png")
    (data / "dog" / "broken.png").write_bytes(b"no image")
    (workplace / "x.yaml").write_text(
        "dataset: image_folder\ndata_dir: data\nimage_size: 32\nmodels: [custom_cnn]\n"
    )
    monkeypatch.setattr(
        labels,
        "frozen_features",
        lambda pixels, *_: torch.cat([part.float().mean((1, 2)) for part in pixels]),
    )
    return workplace / "x.yaml"


def reasons(folder: Path) -> dict[str, set[str]]:
    table = pd.read_csv(folder / "reports" / "x" / "suspects.csv")
    assert tuple(table.columns) == suspects.COLUMNS
    return {reason: set(rows["file"]) for reason, rows in table.groupby("reason")}


def test_planted_faults_are_listed_by_file_and_reason(
    audited: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["audit", str(audited)]) == 0

    found = reasons(audited.parent)
    assert found["exact_copy"] <= {"dog/copied.png", "cat/03.png"}
    assert found["near_copy"] <= {"cat/brighter.png", "cat/04.png"}
    assert len(found["exact_copy"]) == len(found["near_copy"]) == 1
    assert found["dark"] == {"cat/night.png"}
    assert found["bright"] == {"dog/white.png"}
    assert found["odd_size"] == {"dog/strip.png"}
    assert found["unreadable"] == {"dog/broken.png"}
    assert "suspects in reports/x/suspects.csv" in capsys.readouterr().out


@pytest.mark.parametrize(("reason", "code"), [("exact_copy", 1), ("blurred,label_error", 0)])
def test_fail_on_ends_with_1_only_for_the_named_reasons(audited: Path, reason: str, code: int) -> None:
    assert cli.main(["audit", str(audited), "--fail-on", reason]) == code


def test_an_unknown_reason_is_refused_with_the_closest(
    audited: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["audit", str(audited), "--fail-on", "label_eror"]) == 2
    assert "Did you mean 'label_error'?" in capsys.readouterr().err
