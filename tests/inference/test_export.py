"""A network in one file answers as the run's does, or is not written."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline import cli
from pipeline.errors import RunError
from pipeline.inference import Predictor, export
from pipeline.inference.whole_network import folded
from pipeline.learn.models.custom_cnn import Convolution
from pipeline.record import RunRecord
from tests.inference.conftest import trained_run

onnx = pytest.importorskip("onnx", reason="onnx is not installed: ONNX export is not tested")
onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: no ONNX is run")
pytestmark = pytest.mark.usefixtures("inside")


_MADE: dict[str, bytes] = {}


@pytest.fixture(autouse=True)
def made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have PyTorch make the graph of each network once: that takes seconds, and several tests ask for one."""
    make = export._onnx

    def made(network: export.WholeNetwork, predictor: Predictor) -> tuple[bytes, export.Run]:
        key = predictor.record.settings.model_dump_json()
        if key not in _MADE:
            _MADE[key] = make(network, predictor)[0]
        return _MADE[key], export._session(_MADE[key])

    monkeypatch.setattr(export, "_onnx", made)


def _asked(path: Path, pixels: np.ndarray) -> Any:
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return session.run(["probabilities"], {"images": pixels})[0]


def test_onnx_answers_as_the_network_and_says_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    assert cli.main(["export", "reports/made", "--to", "onnx", "-o", str(path)]) == 0
    assert "all 359 test images" in capsys.readouterr().out
    predictor = Predictor.from_run("runs/run", likeness=False)
    pixels = predictor.data.test.pixels
    assert np.abs(_asked(path, pixels.numpy()) - predictor.answer(pixels).probability).max() < 1e-4
    model = onnx.load(path)
    said = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(said["classes"]) == predictor.classes
    assert said["run_id"] == "run"
    assert said["data_fingerprint"] == predictor.data.info.fingerprint
    assert float(said["unsure_below"]) == predictor.unsure_below.confidence
    assert float(said["test_accuracy"]) == predictor.record.split("test").correct.mean()
    assert (said["input_height"], said["input_width"]) == ("8", "8")
    given = model.graph.input[0].type.tensor_type
    assert given.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_param or d.dim_value for d in given.shape.dim] == ["N", 8, 8, 3]
    answered = model.graph.output[0].type.tensor_type.shape.dim
    assert [d.dim_param or d.dim_value for d in answered] == ["N", 10]


def test_torch_export_answers_as_the_network(tmp_path: Path) -> None:
    path = tmp_path / "model.pt2"
    assert cli.main(["export", "runs/run", "--to", "torch", "-o", str(path)]) == 0
    predictor = Predictor.from_run("runs/run", likeness=False)
    extra = {"metadata.json": ""}
    module = torch.export.load(path, extra_files=extra).module()
    pixels = predictor.data.test.pixels[:33]
    assert np.abs(module(pixels).detach().numpy() - predictor.answer(pixels).probability).max() < 1e-5
    assert json.loads(extra["metadata.json"])["run_id"] == "run"
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\nlibrary_name: pytorch\n" in card
    assert "## The file beside this card" in card
    assert "the same answer as PyTorch on 100.00 %" in card


@pytest.fixture
def mirrored(tmp_path: Path) -> Path:
    """A whole run whose answers are averaged over each enlarged image and its mirror."""
    return trained_run(tmp_path / "mirrored", epochs=2, image_size=16, flip_at_test=True)


@pytest.fixture
def transferred(tmp_path: Path) -> Path:
    """A whole run of a head on a frozen backbone, of a few layers: a large one takes long to export."""
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "weights.safetensors")
    return trained_run(
        tmp_path / "transferred",
        model="timm/test_efficientnet",
        mode="linear_probe",
        weights=str(tmp_path / "weights.safetensors"),
        image_size=40,
        epochs=2,
    )


@pytest.mark.parametrize(("run", "image_size"), [("mirrored", 16), ("transferred", 40)])
def test_enlarging_and_mirroring_are_in_the_file(
    tmp_path: Path, run: str, image_size: int, request: pytest.FixtureRequest
) -> None:
    predictor = Predictor.from_run(request.getfixturevalue(run), likeness=False)
    export.export(predictor, tmp_path / "model.onnx")
    pixels = predictor.data.test.pixels
    side = predictor.prepared.stored_side
    assert (side, predictor.prepared.preprocessing.image_size) == (8, image_size)
    found = _asked(tmp_path / "model.onnx", pixels.numpy())
    assert np.abs(found - predictor.answer(pixels).probability).max() < 0.001


@pytest.mark.parametrize(("sign", "folds"), [(1, True), (-1, False)])
def test_batchnorm_is_folded_past_a_pooling_where_its_factors_are_positive(sign: int, folds: bool) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(Convolution(3, 4, pool=True), Convolution(4, 5)).eval()
    for norm in (part for part in network.modules() if isinstance(part, nn.BatchNorm2d)):
        norm.running_mean, norm.running_var = torch.randn(norm.num_features), torch.rand(norm.num_features)
        norm.weight.data = sign * (torch.rand(norm.num_features) + 0.1)
        norm.bias.data = torch.randn(norm.num_features)
    images = torch.rand(2, 3, 8, 8)
    with torch.no_grad():
        expected = network(images)
        found = folded(network)(images)
    assert torch.allclose(found, expected, atol=1e-5)
    assert any(isinstance(part, nn.BatchNorm2d) for part in network.modules()) != folds


def test_int8_says_what_it_costs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree("runs/run", tmp_path / "run")  # it is written beside
    whole, small = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    assert cli.main(["export", str(tmp_path / "run"), "-o", str(whole)]) == 0
    assert RunRecord.read(tmp_path / "run").int8 is None
    assert cli.main(["export", str(tmp_path / "run"), "-o", str(small), "--int8"]) == 0
    said = capsys.readouterr().out
    assert "95 % interval" in said
    kept = RunRecord.read(tmp_path / "run").int8
    assert kept is not None
    assert kept.attrs["bytes"] == small.stat().st_size
    kinds = {node.op_type for node in onnx.load(small).graph.node}
    assert "QuantizeLinear" in kinds
    predictor = Predictor.from_run("runs/run", likeness=False)
    test = predictor.data.test
    accuracy = (_asked(small, test.pixels.numpy()).argmax(axis=1) == test.targets.numpy()).mean()
    assert f"int8: accuracy {100 * accuracy:.2f} %" in said
    assert (kept["prediction"] == kept["target"]).mean() == accuracy
    assert {e.key for e in onnx.load(small).metadata_props} >= {"classes", "run_id"}


def test_file_that_answers_otherwise_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.from_run("runs/run", precision="fp32", likeness=False)
    real = export._session

    def wrong(content: bytes) -> export.Run:
        ask = real(content)
        return lambda images: ask(images)[:, ::-1]

    monkeypatch.setattr(export, "_session", wrong)
    with pytest.raises(RunError, match="not written"):
        export.export(predictor, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_without_its_data_a_run_is_checked_on_made_up_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.errors import DataError
    from pipeline.inference import dataset

    def gone(*_: object) -> None:
        raise DataError("gone")

    monkeypatch.setattr(dataset, "load", gone)
    said = export.export(Predictor.from_run("runs/run", likeness=False), tmp_path / "model.onnx")
    assert "256 made-up images" in " ".join(said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-o", "model.txt"], "must end in .onnx"),
        (["-o", "nowhere/model.onnx"], "no such folder"),
        (["--to", "torch", "--int8"], "--int8 is for --to onnx"),
    ],
)
def test_what_cannot_be_written_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert cli.main(["export", "runs/run", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pipeline.files.os.fsync", full)
    assert cli.main(["export", "runs/run", "-o", str(tmp_path / "model.onnx")]) == 2
    assert "No space left" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
