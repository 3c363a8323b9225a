"""What does not fit this machine is refused before any work, with the parameter to lower."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline import gpus, limits
from pipeline.cli import main
from pipeline.errors import RunError, SettingsError
from pipeline.experiment import RunSettings
from pipeline.forker import warm_processes
from pipeline.learn import device, train

GB = 10**9


def settings(**changes: Any) -> RunSettings:
    return RunSettings(**{"device": "cpu", "precision": "fp32", **changes})


def need(images: int = 10**6, **changes: Any) -> limits.Need:
    found = limits.need(settings(**changes), images)
    assert found is not None
    return found


def with_free(monkeypatch: pytest.MonkeyPatch, memory: int = 10**15, disk: int = 10**15) -> None:
    monkeypatch.setattr(limits, "free_memory", lambda: memory)
    monkeypatch.setattr(limits, "free_disk", lambda folder: disk)


@pytest.mark.parametrize(
    ("model", "side"),
    [
        ("custom_cnn", 32),
        ("vgg16", 64),
        ("resnet18", 64),
        ("inception_v3", 299),
        ("googlenet", 96),
        ("vit_b_16", 32),
        ("efficientnet_lite0", 64),
        ("timm/mobilenetv3_small_050", 64),
    ],
)
def test_every_kind_of_network_is_measured_without_its_content(model: str, side: int) -> None:
    found = need(model=model, image_size=side, batch_size=4)

    assert found.activations > 0
    assert found.kept > 100_000


@pytest.mark.parametrize("model", ["custom_cnn", "resnet18"])
def test_measured_activations_are_those_of_a_real_forward_pass(model: str) -> None:
    chosen = settings(model=model, image_size=32, batch_size=4)
    network = limits._random_network(chosen, 32)
    own = {p.data_ptr() for p in network.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = network.train()(torch.rand(4, 3, 32, 32))

    real = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert output.shape == (4, limits.CLASSES)
    assert need(model=model, image_size=32, batch_size=4).activations == pytest.approx(real, rel=0.02)


def test_needs_grow_as_they_should() -> None:
    plain = need(model="resnet18", mode="fine_tune", image_size=64, batch_size=8)

    assert need(
        model="resnet18", mode="fine_tune", image_size=64, batch_size=16
    ).activations == pytest.approx(2 * plain.activations, rel=0.02)
    few = need(model="resnet18", mode="fine_tune", image_size=64, batch_size=99, images=8)
    assert (few.batch, few.activations) == (8, plain.activations)
    probe = need(model="resnet18", mode="linear_probe", image_size=64, batch_size=8)
    assert probe.activations == 0
    assert probe.scratch < plain.scratch
    assert probe.features == 10**6 * 512 * 4


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (
            30 * GB,
            "resnet18 (scratch): batch_size 4096 at 224 pixels needs at least 91.3 GB of memory, and 30 GB "
            "are free. Lower batch_size to 1024 or less, or image_size.",
        ),
        (
            GB // 10,
            "resnet18 (scratch): batch_size 4096 at 224 pixels needs at least 91.3 GB of memory, and 0.1 GB "
            "are free. Lower image_size, or take a smaller model.",
        ),
    ],
)
def test_too_little_memory_names_the_batch_size_that_would_do(
    monkeypatch: pytest.MonkeyPatch, free: int, said: str
) -> None:
    with_free(monkeypatch, memory=free)

    with pytest.raises(SettingsError) as caught:
        limits.refuse_full_memory([need(model="resnet18", image_size=224, batch_size=4096)], jobs=1)

    assert str(caught.value) == said
    assert caught.value.exit_code == 2


def test_the_batch_size_that_is_named_does() -> None:
    large = need(model="resnet18", image_size=64, batch_size=4096)
    free = large.fixed + large.activations // 3
    words = limits._lower_in_memory(large, free, at_once=1)

    assert words == "Lower batch_size to 1024 or less, or image_size."
    assert need(model="resnet18", image_size=64, batch_size=1024).memory <= free
    assert need(model="resnet18", image_size=64, batch_size=2048).memory > free


def test_runs_at_a_time_share_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    one = need(model="resnet18", image_size=64, batch_size=256)
    with_free(monkeypatch, memory=int(1.5 * one.memory))

    limits.refuse_full_memory([one, one], jobs=1)
    with pytest.raises(SettingsError, match=r"and 2 runs at a time need .* or image_size or --jobs\.$"):
        limits.refuse_full_memory([one, one], jobs=2)


def test_too_little_disk_for_the_runs_names_what_to_lower(monkeypatch: pytest.MonkeyPatch) -> None:
    with_free(monkeypatch, disk=GB)

    with pytest.raises(SettingsError) as caught:
        limits.refuse_full_disk([need(model="vgg16", image_size=32)] * 3, Path("runs"), jobs=1)

    assert str(caught.value) == (
        "runs: 1 GB of disk are free, but the 3 missing runs need 5.91 GB, vgg16 0.537 GB for its weights. "
        "Make room, set runs_dir to another disk, or lower models or the number of seeds."
    )


def test_too_little_disk_for_features_names_what_to_lower(
    workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_free(monkeypatch, disk=GB)
    probes = [
        need(model="vgg16", mode="linear_probe", image_size=64, feature_views=2, seed=seed) for seed in (0, 1)
    ]

    with pytest.raises(SettingsError) as caught:
        limits.refuse_full_cache(probes, Path("cache/features"))

    assert str(caught.value) == (
        "cache/features: 1 GB of disk are free, but the features of frozen backbones need 32.8 GB, most of "
        "them those of vgg16. Make room, make it a link to a folder with room, or lower max_train_images or "
        "feature_views."
    )


PARAMS = "max_train_images: 100\nmodels: [{model: custom_cnn, widths: [8], depth: 1}]\n"


@pytest.mark.parametrize("short", ["memory", "disk"])
def test_command_that_does_not_fit_exits_2_before_any_work(
    workplace: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], short: str
) -> None:
    Path("x.yaml").write_text(PARAMS, encoding="utf-8")
    with_free(monkeypatch, **{short: 1000})
    monkeypatch.setattr("pipeline.run.warm_processes", lambda _: nullcontext())  # so that it is asked here

    assert main(["run", "x.yaml"]) == 2

    said = capfd.readouterr().err
    assert said.startswith("headstart: ")
    assert said.count("\n") == 1
    assert "lower" in said.lower()
    assert not list(Path("runs").glob("*custom*"))


def test_what_fits_is_not_refused(workplace: Path) -> None:
    limits.check([settings(max_train_images=100), settings(model="resnet18", image_size=32)], Path("runs"), 2)


def test_a_fork_that_is_asked_answers_the_same(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "may_be_there", lambda: False)
    small = settings(max_train_images=100)
    large = settings(model="vgg16", image_size=1024, batch_size=2048)  # more than any machine has
    with pytest.raises(SettingsError) as here:
        limits.check([large], Path("runs"), 1)
    with warm_processes(()):
        limits.check([small], Path("runs"), 1)
        with pytest.raises(SettingsError) as there:
            limits.check([large], Path("runs"), 1)

    assert str(here.value).startswith("vgg16 (scratch): batch_size 1293 at 1024 pixels needs at least ")
    assert str(there.value).split(", and ")[0] == str(here.value).split(", and ")[0]


def test_network_that_cannot_be_measured_is_tried_as_it_is() -> None:
    chosen = settings(model="regnet_x_400mf", image_size=64)
    with pytest.raises(NotImplementedError, match="meta tensor"):  # it computes its widths with tensors
        limits._without_content(chosen, 64)

    assert limits.need(chosen, 100) is None


def test_memory_limit_of_a_container_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = limits.free_memory()
    (tmp_path / "memory.max").write_text("2000000")
    (tmp_path / "memory.current").write_text("1500000")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 1000\nactive_file 500\n")
    monkeypatch.setattr(limits, "CGROUP", tmp_path)

    assert limits.free_memory() == 501_500 < whole
    (tmp_path / "memory.max").write_text("max")
    assert limits.free_memory() > 501_500


def test_disk_is_that_of_a_folder_that_is_still_to_be_made(tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free

    assert limits.free_disk(tmp_path / "not" / "there") == pytest.approx(free, rel=0.1)


def out_of_memory(*_: object) -> None:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_trial_batch_that_fits_passes_and_one_that_does_not_names_what_to_lower(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = settings(model="resnet18", image_size=32, batch_size=4, optimizer="sgd")
    limits.try_batch(chosen)
    monkeypatch.setattr(train, "training_loss", out_of_memory)

    with pytest.raises(RunError) as caught:
        limits.try_batch(chosen)

    assert str(caught.value) == (
        "resnet18: out of memory on cpu with batch_size 4. Try batch_size 2 or a smaller image_size 32."
    )


def test_trial_of_several_runs_says_which_does_not_fit(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [settings(batch_size=4), settings(batch_size=8, model="resnet18", image_size=32)]
    monkeypatch.setattr(
        "sys.stdin", io.StringIO(json.dumps({"share": 0.5, "runs": [run.model_dump() for run in runs]}))
    )
    fitting: Callable[..., object] = limits.try_batch

    def trial(chosen: RunSettings, share: float) -> None:
        assert share == 0.5
        fitting(chosen) if chosen.model == "custom_cnn" else out_of_memory_in(chosen)

    monkeypatch.setattr(limits, "try_batch", trial)

    assert limits.main() == 2
    assert "resnet18: out of memory on cpu with batch_size 8." in capfd.readouterr().err


def out_of_memory_in(chosen: RunSettings) -> None:
    with device.choose(chosen).explaining_limits(chosen):
        out_of_memory()


@pytest.mark.slow
def test_trial_in_a_process_of_its_own_refuses_a_batch_that_no_memory_holds() -> None:
    large = need(model="custom_cnn", image_size=1024, batch_size=65536)
    small = need(model="custom_cnn", image_size=8, batch_size=4)

    limits.try_batches([small])
    with pytest.raises(SettingsError) as caught:
        limits.try_batches([small, large])

    assert str(caught.value) == (
        "custom_cnn: out of memory on cpu with batch_size 65536. "
        "Try batch_size 32768 or a smaller image_size 1024."
    )


def test_only_runs_on_a_gpu_are_tried(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def note(needs: Sequence[limits.Need], together: int) -> None:
        assert together == 1
        tried.extend(n.settings.model for n in needs)

    class Gpu:
        device = torch.device("cuda")
        precision = "fp32"

    monkeypatch.setattr(limits, "try_batches", note)
    limits.check([settings(max_train_images=100)], Path("runs"), 1)
    assert tried == []

    monkeypatch.setattr(device, "choose", lambda chosen: Gpu)
    limits.check([settings(max_train_images=100)], Path("runs"), 1)
    assert tried == ["custom_cnn"]
