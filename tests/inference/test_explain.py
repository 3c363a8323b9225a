"""Explanation maps: what they are made of, and that they hang on what was learned."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from pipeline import cli
from pipeline.errors import DataError
from pipeline.experiment import Experiment
from pipeline.inference import elsewhere, explain
from pipeline.record import MAP_SIDE, RunRecord

pytestmark = pytest.mark.usefixtures("inside")


@pytest.fixture(scope="module")
def record(project: Path, tmp_path_factory: pytest.TempPathFactory) -> RunRecord:
    """A copy of the whole run, with its maps beside it."""
    pytest.importorskip(explain.PACKAGE, reason="needs the package grad-cam")
    folder = tmp_path_factory.mktemp("explained") / "runs" / "run"
    shutil.copytree(project / "runs" / "run", folder)
    found = RunRecord.read(folder)
    elsewhere.ask(Experiment(name="x", title="x", runs=[found.settings], explain=True), [found])
    return found


class Corner(nn.Module):
    """Says class 1 by the red in the image, by class 0 by the blue, through one convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 2, 1, bias=False)
        self.head = nn.Linear(2, 2, bias=False)
        self.layer.weight.data = torch.tensor([[0.0, 0, 1], [1, 0, 0]]).reshape(2, 3, 1, 1)
        self.head.weight.data = torch.eye(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.layer(x).mean(dim=(2, 3)))


def test_a_map_lies_where_the_class_is() -> None:
    pytest.importorskip(explain.PACKAGE, reason="needs the package grad-cam")
    images = torch.zeros(2, 3, MAP_SIDE, MAP_SIDE)
    images[:, 0, :4, :4], images[:, 2, -4:, -4:] = 1, 1  # red above left, blue below right
    blue, red = explain.grad_cam(Corner(), "layer", images, np.array([0, 1]))
    assert red[:4, :4].min() > 0.99
    assert red.sum() == pytest.approx(16, abs=0.01)
    assert blue[-4:, -4:].min() > 0.99
    assert blue.sum() == pytest.approx(16, abs=0.01)


def test_maps_of_test_images_stand_beside_the_predictions(record: RunRecord) -> None:
    table, test = record.explanations, record.split("test")
    assert table is not None
    rows = np.searchsorted(test.index, table["index"])
    assert (table["answer"].to_numpy() == test.predicted[rows]).all()
    assert len(table) == min(len(test.index), explain.MOST_IMAGES)
    assert all(len(one) == MAP_SIDE**2 for one in table["map"])
    assert table.attrs["side"] >= explain.LEAST_SIDE
    assert sum(map(len, table["picture"])) + 256 * len(table) < 1_000_000


def test_shuffled_weights_make_other_maps(record: RunRecord) -> None:
    table = record.explanations
    assert table is not None
    assert np.median(table["shuffled"]) < 0.5
    assert table["shuffled"].between(-1, 1).all()


def test_the_same_maps_come_again_and_are_kept(record: RunRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (record.folder / "explanations.parquet").read_bytes()
    experiment = Experiment(name="x", title="x", runs=[record.settings], explain=True)
    with monkeypatch.context() as patch:
        patch.setattr(elsewhere, "_ask", lambda *_: pytest.fail("asked twice"))
        elsewhere.ask(experiment, [RunRecord.read(record.folder)])
    (record.folder / "explanations.parquet").unlink()
    elsewhere.ask(experiment, [RunRecord.read(record.folder)])
    assert (record.folder / "explanations.parquet").read_bytes() == before


def test_resemblance_is_a_rank_correlation() -> None:
    one = np.arange(9.0).reshape(1, 3, 3)
    assert explain.rank_correlation(one, one**2) == pytest.approx([1])
    assert explain.rank_correlation(one, -one) == pytest.approx([-1])
    assert explain.rank_correlation(one, np.zeros((1, 3, 3))) == pytest.approx([0])


def test_networks_without_a_map_are_refused() -> None:
    with pytest.raises(DataError, match="layers of attention"):
        explain.last_layer(nn.Sequential(nn.MultiheadAttention(4, 2)), torch.zeros(1, 3, 8, 8))
    with pytest.raises(DataError, match="no layer of this network"):
        explain.last_layer(nn.Sequential(nn.Conv2d(3, 2, 8)), torch.zeros(1, 3, 8, 8))


def test_a_missing_package_is_said_in_one_line_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(explain, "PACKAGE", "no_such_package")
    Path("x.yaml").write_text("explain: true\nmodels: [custom_cnn]\n", encoding="utf-8")
    assert cli.main(["run", "x.yaml"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "pip install 'headstart[explain]'" in error
    assert not list(Path("runs").iterdir())
