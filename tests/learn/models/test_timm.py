"""timm's networks: built, cut, and their weights loaded whole or not at all."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from pipeline.errors import ModelError
from pipeline.experiment import Experiment, RunSettings
from pipeline.learn import models
from pipeline.learn.models import summary
from pipeline.learn.models import timm as published
from tests.conftest import ROOT

CLASSES = ["cat", "dog", "bird"]
PROBE = RunSettings(model="timm/resnet10t", mode="linear_probe", image_size=64)


def built(settings: RunSettings) -> torch.nn.Module:
    models.check(settings)
    return models.build(settings, CLASSES, models.preprocessing(settings))


@pytest.fixture
def hub_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands where the hub's cache would have it."""
    file = tmp_path / "model.safetensors"
    monkeypatch.setattr(published, "_cached_hub_file", lambda entry: file)
    return file


@pytest.mark.parametrize(
    "name",
    ["mobilenetv3_small_050", "deit_tiny_distilled_patch16_224", "tf_efficientnet_lite0", "ghostnet_050"],
)
def test_networks_give_one_feature_vector_per_image(name: str) -> None:
    settings = RunSettings(model=f"timm/{name}")
    network = built(settings)
    size = models.preprocessing(settings).image_size
    assert summary.trial_output(network.backbone, size).shape == (1, network.head.in_features)
    assert summary.trial_output(network, size).shape == (1, 3)


def test_published_weights_are_loaded_from_the_hubs_cache(
    hub_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    original = timm.create_model("resnet10t")
    save_file(original.state_dict(), hub_file)
    network = built(PROBE)
    for name, tensor in network.backbone.state_dict().items():
        assert torch.equal(tensor, original.state_dict()[name]), name


def test_weights_that_lack_a_tensor_are_refused_not_left_random(hub_file: Path) -> None:
    state = timm.create_model("resnet10t").state_dict()
    del state["layer2.0.conv1.weight"]
    save_file(state, hub_file)
    with pytest.raises(ModelError, match=r"layer2\.0\.conv1\.weight"):
        built(PROBE)


def test_own_weights_of_other_classes_are_loaded_whole(tmp_path: Path) -> None:
    original = timm.create_model("resnet10t", num_classes=7)
    state = original.state_dict()
    save_file(state, tmp_path / "seven.safetensors")
    save_file({k: v for k, v in state.items() if not k.startswith("fc.")}, tmp_path / "none.safetensors")
    for name in ("seven", "none"):
        network = built(PROBE.model_copy(update={"weights": str(tmp_path / f"{name}.safetensors")}))
        assert torch.equal(network.backbone.layer4[0].conv2.weight, original.layer4[0].conv2.weight)


def test_transformer_is_built_for_another_image_size() -> None:
    settings = RunSettings(model="timm/deit_tiny_patch16_224", image_size=64)
    assert built(settings).backbone.pos_embed.shape == (1, 4 * 4 + 1, 192)


def test_image_size_that_a_network_cannot_see_is_refused() -> None:
    with pytest.raises(ModelError, match=r"timm/inception_v3: image_size is 32") as caught:
        built(RunSettings(model="timm/inception_v3", image_size=32))
    assert "\n" not in str(caught.value)


def test_failed_download_names_the_place_and_the_way_round(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def fail(repository: str, name: str) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(published, "_cached_hub_file", lambda entry: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    with pytest.raises(
        ModelError, match=r"timm/resnet10t\.c3_in1k are not in .*no route to host.*weights: path"
    ):
        built(PROBE)


def test_hash_is_known_before_the_weights_are_here() -> None:
    tuned = RunSettings(model="timm/resnet18.a1_in1k", mode="fine_tune")
    other = RunSettings(model="timm/resnet18.a2_in1k", mode="fine_tune")
    assert models.weights_hash(tuned) != models.weights_hash(other)


BACKBONES = [entry.model for entry in Experiment.from_yaml(ROOT / "params" / "backbones.yaml").runs[::2]]


@pytest.mark.parametrize("name", BACKBONES)
def test_shipped_backbones_are_known_with_weights_and_their_own_preprocessing(
    name: str, hub_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "offline", lambda: False)
    settings = RunSettings(model=name, mode="linear_probe", image_size=224)
    models.check(settings)
    prepared = models.preprocessing(settings)
    assert prepared.image_size == 224
    assert prepared.mean == ((0.5, 0.5, 0.5) if "siglip" in name or "_b0" in name else (0.485, 0.456, 0.406))
    with torch.device("meta"):  # as large as it is, without its weights
        network = models.build(settings.model_copy(update={"mode": "scratch"}), CLASSES, prepared)
    assert network.head.in_features in (320, 384, 768, 1280)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["vit_small_patch14_dinov2.lvd142m", "convnext_atto.d2_in1k"])
def test_shipped_backbones_are_loaded_by_the_real_code(
    name: str, hub_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights of the published size, saved here; DINOv2's places are those of 518 pixels and are refitted."""
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    config = timm.get_pretrained_cfg(name)
    original = timm.create_model(name.split(".")[0], num_classes=config.num_classes)
    save_file(original.state_dict(), hub_file)
    network = built(RunSettings(model=f"timm/{name}", mode="linear_probe", image_size=224))
    assert summary.trial_output(network, 224).shape == (1, 3)
    last = [n for n, p in original.named_parameters() if p.ndim > 1 and not n.startswith("head")][-1]
    assert torch.equal(network.backbone.get_parameter(last), original.get_parameter(last))
