"""What a run computes on."""

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from pipeline.errors import RunError, SettingsError
from pipeline.learn import device
from tests.learn import tiny


def pretend_cpu(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setattr(device, "_cpu", lambda: dict.fromkeys(flags.split(), True))


@pytest.mark.parametrize(
    ("flags", "precision"),
    [("fma avx2", "fp32"), ("avx2 avx512f", "fp32"), ("avx512_bf16", "bf16"), ("avx2 amx_bf16", "bf16")],
)
def test_auto_precision_follows_the_instructions_of_the_cpu(
    monkeypatch: pytest.MonkeyPatch, flags: str, precision: str
) -> None:
    pretend_cpu(monkeypatch, flags)
    assert device.choose(tiny.settings(device="cpu")).precision == precision


@pytest.mark.parametrize(
    ("bf16", "capability", "precision"),
    [(True, (9, 0), "bf16"), (False, (7, 5), "fp16"), (False, (7, 0), "fp16"), (False, (6, 1), "fp32")],
    ids=["H100", "T4", "V100", "GTX 1080"],
)
def test_auto_precision_of_a_gpu_is_what_it_multiplies_itself(
    monkeypatch: pytest.MonkeyPatch, bf16: bool, capability: tuple[int, int], precision: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: capability)
    chosen = device.choose(tiny.settings())
    assert (chosen.device.type, chosen.precision, chosen.channels_last) == ("cuda", precision, True)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_named_precision_is_used_whatever_the_cpu(monkeypatch: pytest.MonkeyPatch, precision: str) -> None:
    pretend_cpu(monkeypatch, "")
    assert device.choose(tiny.settings(device="cpu", precision=precision)).precision == precision


def test_missing_device_is_refused_with_those_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SettingsError, match=r"device is 'cuda', but this machine has only .*cpu"):
        device.choose(tiny.settings(device="cuda"))


@pytest.mark.parametrize("variable", [device.THREADS_VARIABLE, "OMP_NUM_THREADS"])
def test_threads_follow_the_environment(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(device.THREADS_VARIABLE, raising=False)
    monkeypatch.setenv(variable, "3")
    assert device.choose(tiny.settings()).threads == 3


def test_threads_are_all_cores_when_nobody_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (device.THREADS_VARIABLE, "OMP_NUM_THREADS"):
        monkeypatch.delenv(variable, raising=False)
    assert device.choose(tiny.settings()).threads >= 1


def test_asking_for_hardware_changes_nothing_and_tuning_does(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(torch, "set_num_threads", lambda count: calls.append(f"{count} threads"))
    monkeypatch.setattr(device, "keep_freed", lambda: calls.append("memory"))
    monkeypatch.setenv(device.THREADS_VARIABLE, "3")
    chosen = device.choose(tiny.settings(device="cpu"))
    assert calls == []
    assert replace(device.tune(chosen), cores=None) == chosen
    assert calls == ["3 threads"]
    chosen.place(torch.nn.Linear(1, 1))  # after the images are loaded
    assert calls == ["3 threads", "memory"]


@pytest.fixture
def restored() -> Iterator[None]:
    """Leave PyTorch's own choice of kernels as it was."""
    benchmark = torch.backends.cudnn.benchmark
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = benchmark


@pytest.mark.usefixtures("restored")
def test_deterministic_hardware_uses_only_kernels_that_give_the_same_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    gpu = replace(tiny.CPU, device=torch.device("cuda"))
    device.tune(gpu)
    assert torch.backends.cudnn.benchmark
    assert not torch.are_deterministic_algorithms_enabled()

    device.tune(replace(gpu, deterministic=True))

    assert not torch.backends.cudnn.benchmark
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    on_cpu = device.tune(device.choose(tiny.settings(device="cpu", deterministic=True)))
    assert on_cpu.cores is not None
    assert not on_cpu.cores.follows


def test_what_cannot_be_deterministic_is_named_with_the_setting() -> None:
    said = "adaptive_avg_pool2d_backward_cuda does not have a deterministic implementation, but you set ..."
    with (
        pytest.raises(RunError, match=r"^custom_cnn: adaptive_avg_pool2d_backward_cuda gives other numbers "),
        tiny.CPU.explaining_limits(tiny.settings()),
    ):
        raise RuntimeError(said)


def test_environment_names_what_the_results_depend_on() -> None:
    found = device.environment(tiny.CPU)
    assert found.packages["torch"] == torch.__version__.split("+")[0]
    assert set(found.packages) == set(device.PACKAGES)
    assert (found.device, found.threads, found.precision) == ("cpu", 1, "fp32")
    assert found.cpu
    assert (found.git_commit is None) == (found.git_dirty is None)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 99 bytes"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
        MemoryError(),
    ],
)
def test_out_of_memory_names_the_settings_to_lower(error: Exception) -> None:
    with (
        pytest.raises(RunError, match=r"batch_size 32\. Try batch_size 16 or a smaller image_size\.") as told,
        tiny.CPU.explaining_limits(tiny.settings()),
    ):
        raise error
    assert "\n" not in str(told.value)


def test_memory_that_no_machine_has_is_explained_too() -> None:
    with pytest.raises(RunError, match="out of memory on cpu"), tiny.CPU.explaining_limits(tiny.settings()):
        torch.empty(2**52)


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), tiny.CPU.explaining_limits(tiny.settings()):
        raise RuntimeError("shapes do not fit")
