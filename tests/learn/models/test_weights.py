"""Weights files: every kind of wrong one is refused in one line, and none is executed."""

import argparse
import pickle
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pipeline.errors import ModelError
from pipeline.experiment import RunSettings
from pipeline.learn import models
from pipeline.learn.models import weights

MODEL = "shufflenet_v2_x0_5"
CLASSES = ["cat", "dog", "bird"]


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    from torchvision.models import shufflenet_v2_x0_5

    torch.manual_seed(1)
    return shufflenet_v2_x0_5(weights=None).state_dict()


def build_with(file: Path, model: str = MODEL, **changes: object) -> nn.Module:
    settings = RunSettings(model=model, mode="fine_tune", weights=str(file), image_size=64, **changes)
    models.check(settings)
    return models.build(settings, CLASSES, models.preprocessing(settings))


def refusal(file: Path, model: str = MODEL) -> str:
    with pytest.raises(ModelError) as caught:
        build_with(file, model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_own_weights_are_loaded(published: dict, tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"own.{suffix}"
    save_file(published, file) if suffix == "safetensors" else torch.save(published, file)
    network = build_with(file)
    assert torch.equal(network.backbone.conv1[0].weight, published["conv1.0.weight"])
    assert network.head.out_features == 3


def test_classifier_of_another_size_is_no_obstacle(published: dict, tmp_path: Path) -> None:
    others = {**published, "fc.weight": torch.zeros(7, 1024), "fc.bias": torch.zeros(7)}
    torch.save(others, tmp_path / "seven.pth")
    torch.save({k: v for k, v in published.items() if not k.startswith("fc.")}, tmp_path / "none.pth")
    for name in ("seven.pth", "none.pth"):
        assert build_with(tmp_path / name).head.out_features == 3


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda state: {"model": {f"module.{name}": tensor for name, tensor in state.items()}},
        lambda state: {f"_orig_mod.module.{name}": tensor for name, tensor in state.items()},
    ],
)
def test_usual_wrappings_of_training_scripts_are_opened(published: dict, tmp_path: Path, wrap) -> None:
    torch.save(wrap(published), tmp_path / "wrapped.pth")
    network = build_with(tmp_path / "wrapped.pth")
    assert torch.equal(network.backbone.conv1[0].weight, published["conv1.0.weight"])


def test_a_run_may_start_from_the_weights_of_an_earlier_one(tmp_path: Path) -> None:
    first = models.build(
        RunSettings(model=MODEL, image_size=64),
        ["a", "b"],
        models.preprocessing(RunSettings(model=MODEL, image_size=64)),
    )
    save_file(first.state_dict(), tmp_path / "model.safetensors")
    second = build_with(tmp_path / "model.safetensors")
    assert torch.equal(second.backbone.conv1[0].weight, first.backbone.conv1[0].weight)


def test_missing_file_is_named(tmp_path: Path) -> None:
    assert f"weights {tmp_path / 'no.pth'}: no such file" in refusal(tmp_path / "no.pth")


def test_folder_and_overlong_name_are_no_files(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path)
    assert "no such file" in refusal(Path("ä" * 150 + ".pth"))


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"x")
    assert "ends in '.h5'; it must be one of .pth" in refusal(tmp_path / "weights.h5")


class Attack:
    def __reduce__(self):
        return (open, (str(Path("attacked")), "w"))


def test_pickled_code_is_refused_and_never_runs(workplace: Path) -> None:
    torch.save({"weight": torch.zeros(1), "extra": Attack()}, workplace / "bad.pth")
    message = refusal(workplace / "bad.pth")
    assert "could run code" in message
    assert "open" in message
    assert not (workplace / "attacked").exists()


def test_plain_pickle_of_code_is_refused(workplace: Path) -> None:
    (workplace / "bad.pth").write_bytes(pickle.dumps(Attack()))
    refusal(workplace / "bad.pth")
    assert not (workplace / "attacked").exists()


def test_whole_model_is_refused_because_it_is_code(tmp_path: Path) -> None:
    torch.save(nn.Sequential(nn.Linear(2, 2)), tmp_path / "whole.pth")
    assert "torch.save(model.state_dict(), path)" in refusal(tmp_path / "whole.pth")


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
@pytest.mark.parametrize("keep", [0, 10, 0.1, 0.5, 0.99])
def test_cut_off_file_is_damaged(published: dict, tmp_path: Path, suffix: str, keep: float) -> None:
    file = tmp_path / f"own.{suffix}"
    save_file(published, file) if suffix == "safetensors" else torch.save(published, file)
    content = file.read_bytes()
    file.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    assert "damaged" in refusal(file)


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_bytes_changed_anywhere_are_read_as_tensors_or_refused(
    published: dict, tmp_path: Path, suffix: str
) -> None:
    file = tmp_path / f"own.{suffix}"
    few = dict(list(published.items())[:8])
    save_file(few, file) if suffix == "safetensors" else torch.save(few, file)
    whole = file.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 300)):
        changed = bytes(255 - byte for byte in whole[place : place + 4])
        file.write_bytes(whole[:place] + changed + whole[place + 4 :])
        try:
            found = {type(tensor) for tensor in weights.read_state(file).values()}
        except ModelError as error:
            found = {str(error).count("\n")}
        assert found in ({torch.Tensor}, {0})


def test_damaged_file_is_refused_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"nothing")
    with pytest.raises(ModelError, match="damaged"):
        models.check(RunSettings(model=MODEL, mode="fine_tune", weights=str(tmp_path / "x.pth")))


def test_garbage_is_damaged(tmp_path: Path) -> None:
    for suffix in ("pth", "safetensors"):
        (tmp_path / f"x.{suffix}").write_bytes(b"<html>404 not found</html>" * 50)
        assert "damaged" in refusal(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, [1, 2], "text", torch.zeros(3)])
def test_file_without_named_tensors_is_refused(tmp_path: Path, content: object) -> None:
    torch.save(content, tmp_path / "empty.pth")
    assert "holds no tensors by name" in refusal(tmp_path / "empty.pth")


def test_first_tensor_of_another_shape_is_named(published: dict, tmp_path: Path) -> None:
    torch.save({**published, "conv1.0.weight": torch.zeros(5, 3, 3, 3)}, tmp_path / "w.pth")
    message = refusal(tmp_path / "w.pth")
    assert "tensor conv1.0.weight has shape (5, 3, 3, 3), this network's has (24, 3, 3, 3)" in message


def test_missing_tensor_is_named(published: dict, tmp_path: Path) -> None:
    torch.save({k: v for k, v in published.items() if k != "conv5.0.weight"}, tmp_path / "w.pth")
    assert "tensor conv5.0.weight is missing" in refusal(tmp_path / "w.pth")


def test_tensor_too_many_is_named(published: dict, tmp_path: Path) -> None:
    torch.save({**published, "stage9.weight": torch.zeros(1)}, tmp_path / "w.pth")
    assert "tensor stage9.weight is not of this network" in refusal(tmp_path / "w.pth")


def test_weights_of_another_model_are_refused(published: dict, tmp_path: Path) -> None:
    torch.save(published, tmp_path / "w.pth")
    assert "resnet18: weights" in refusal(tmp_path / "w.pth", "resnet18")
    assert "efficientnet_lite0: weights" in refusal(tmp_path / "w.pth", "efficientnet_lite0")
    assert "timm/resnet10t: weights" in refusal(tmp_path / "w.pth", "timm/resnet10t")


def test_half_precision_weights_become_single(published: dict, tmp_path: Path) -> None:
    halves = {k: v.half() if v.is_floating_point() else v for k, v in published.items()}
    torch.save(halves, tmp_path / "half.pth")
    network = build_with(tmp_path / "half.pth")
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_content_of_the_file_is_its_hash(tmp_path: Path) -> None:
    file = tmp_path / "w.pth"
    settings = RunSettings(model=MODEL, mode="fine_tune", weights=str(file))
    file.write_bytes(b"one")
    first = models.weights_hash(settings)
    file.write_bytes(b"other")
    assert models.weights_hash(settings) != first
    (tmp_path / "copy.pth").write_bytes(b"one")
    assert weights.file_hash(tmp_path / "copy.pth") == first


def test_positions_of_a_vision_transformer_are_interpolated(tmp_path: Path) -> None:
    from torchvision.models.vision_transformer import VisionTransformer

    small = VisionTransformer(64, 32, 1, 12, 768, 8)
    state = {k: v for k, v in small.state_dict().items() if "encoder_layer" not in k}
    content = torchvision_at_size(state)
    assert content["encoder.pos_embedding"].shape == (1, 3 * 3 + 1, 768)
    assert torch.equal(content["class_token"], state["class_token"])


def torchvision_at_size(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    from pipeline.learn.models import torchvision

    return torchvision._at_size(RunSettings(model="vit_b_32"), state, 96)


def test_timm_weights_from_a_file(tmp_path: Path) -> None:
    import timm

    original = timm.create_model("resnet10t", num_classes=5)
    save_file(original.state_dict(), tmp_path / "own.safetensors")
    network = build_with(tmp_path / "own.safetensors", "timm/resnet10t")
    assert torch.equal(network.backbone.conv1[0].weight, original.conv1[0].weight)
    assert network.head.out_features == 3


def prefixed(prefix: str, state: dict) -> dict:
    return {f"{prefix}{name}": tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    ("name", "wrap"),
    [
        ("lightning.ckpt", lambda s: {"state_dict": prefixed("model.", s), "epoch": 3}),
        ("module.ckpt", lambda s: {"state_dict": prefixed("net.", s) | {"loss.weight": torch.ones(3)}}),
        ("cifar.pth", lambda s: {"net": prefixed("module.", s), "acc": 93.1}),
        ("model_best.pth.tar", lambda s: {"state_dict": prefixed("module.", s), "arch": "x"}),
        ("averaged.pth", lambda s: {"state_dict_ema": prefixed("module.", s)}),
        ("compiled.pt", lambda s: {"model": prefixed("_orig_mod.model.", s)}),
        ("encoder.pth", lambda s: prefixed("encoder.", s)),
    ],
)
def test_files_of_well_known_scripts_are_read(published: dict, tmp_path: Path, name: str, wrap) -> None:
    torch.save(wrap(published), tmp_path / name)
    network = build_with(tmp_path / name)
    assert torch.equal(network.backbone.conv1[0].weight, published["conv1.0.weight"])


@pytest.mark.parametrize("model", [MODEL, "efficientnet_lite0", "timm/resnet10t"])
def test_weights_of_another_network_are_refused_before_any_work(tmp_path: Path, model: str) -> None:
    from torchvision.models import mobilenet_v2

    torch.save(mobilenet_v2(weights=None).state_dict(), tmp_path / "other.pth")
    settings = RunSettings(
        model=model, mode="linear_probe", weights=str(tmp_path / "other.pth"), image_size=64
    )
    with pytest.raises(ModelError, match=r"other\.pth"):
        models.check(settings)


def test_the_name_of_a_pickled_object_is_told(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.zeros(2)}, "args": argparse.Namespace(lr=1)}, tmp_path / "w.pth")
    assert "tensor conv1.0.weight is missing" in refusal(tmp_path / "w.pth")
    assert "It also holds the pickled object argparse.Namespace, which was passed" in refusal(
        tmp_path / "w.pth"
    )


def test_arguments_beside_the_tensors_are_passed_over(published: dict, tmp_path: Path) -> None:
    """As torchvision's, timm's and DINO's training scripts write them."""
    beside = {
        "args": argparse.Namespace(lr=0.1, output=Path("runs"), best=np.float64(0.3), count=np.int64(3)),
        "when": datetime(2026, 1, 2),
    }
    torch.save({"model": published, "epoch": 9, **beside}, tmp_path / "w.pth")
    network = build_with(tmp_path / "w.pth")
    assert torch.equal(network.backbone.conv1[0].weight, published["conv1.0.weight"])


def by_position(state: dict) -> dict:
    """Return tensors as fastai's ``learn.save`` names them: body and head, and the place in the body."""
    order = ["conv1", "maxpool", "stage2", "stage3", "stage4", "conv5"]
    named = {key: key.partition(".") for key in state if not key.startswith("fc.")}
    return {f"0.{order.index(first)}.{rest}": state[key] for key, (first, _, rest) in named.items()}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: {
            "state_dict": prefixed("module.encoder_q.", s)
            | prefixed("module.encoder_k.", s)
            | {"module.queue": torch.zeros(2), "module.queue_ptr": torch.zeros(1)}
        },
        lambda s: {
            "state_dict": prefixed("module.encoder.", s) | {"module.predictor.0.weight": torch.ones(1)}
        },
        lambda s: {
            "student": prefixed("module.backbone.", {k: torch.zeros_like(v) for k, v in s.items()}),
            "teacher": prefixed("backbone.", s) | {"head.mlp.0.weight": torch.ones(1)},
        },
        lambda s: {"model": by_position(s) | {"1.8.weight": torch.zeros(5, 5)}, "opt": {"state": []}},
    ],
    ids=["MoCo", "SimSiam", "DINO", "fastai"],
)
def test_files_of_self_supervised_learning_and_fastai_are_read(published: dict, tmp_path: Path, wrap) -> None:
    torch.save(wrap(published), tmp_path / "w.pth")
    network = build_with(tmp_path / "w.pth")
    assert torch.equal(network.backbone.conv1[0].weight, published["conv1.0.weight"])
    assert torch.equal(network.backbone.conv5[1].running_var, published["conv5.1.running_var"])


def test_what_lies_in_the_place_of_weights_is_told_with_its_remedy(tmp_path: Path) -> None:
    for name in ("w.pth", "w.safetensors"):
        file = tmp_path / name
        file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
        assert "is a Git-LFS pointer and not the weights; run `git lfs pull`." in refusal(file)
        file.write_text("<!DOCTYPE html><html>please sign in</html>")
        assert "is an HTML page, as servers send in place of a file; fetch it again." in refusal(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch would have one use another format
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    assert "is a TorchScript program; save its tensors, with torch.save" in refusal(tmp_path / "script.pt")
