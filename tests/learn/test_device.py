"""What a run computes on."""

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


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
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
    assert calls == ["3 threads", "memory"]


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
        tiny.CPU.explaining_memory(tiny.settings()),
    ):
        raise error
    assert "\n" not in str(told.value)


def test_memory_that_no_machine_has_is_explained_too() -> None:
    with pytest.raises(RunError, match="out of memory on cpu"), tiny.CPU.explaining_memory(tiny.settings()):
        torch.empty(2**52)


def test_other_errors_are_left_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shapes"), tiny.CPU.explaining_memory(tiny.settings()):
        raise RuntimeError("shapes do not fit")
