"""``bench/results.json`` and ``bench/results.md``: figures with the conditions they were taken under.

Each figure has its own: those of other keys may come from an earlier call, or from another machine.
"""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil
import torch

from bench.measuring import Result
from pipeline.experiment import RunSettings
from pipeline.files import write_json
from pipeline.learn import device

FOLDER = Path(__file__).parent
PACKAGES = ("headstart", "torch", "torchvision", "fastai", "numpy", "papermill", "distributed")
KEYS = (
    "throughput_vs_tutorial",
    "throughput_vs_fastai",
    "throughput_busy_vs_tutorial",
    "share_of_best_threads_busy",
    "time_to_90_vs_tutorial",
    "epochs_to_90",
    "share_of_matmul_ceiling",
    "probe_vs_every_epoch",
    "probe_vs_forward",
    "probe_four_sizes_vs_one",
    "run_overhead_seconds",
    "noop_report_seconds",
    "report_60_runs_seconds",
    "report_100k_images_seconds",
    "study_vs_tutorial",
    "transfer_vs_fastai",
    "peak_memory_ratio",
    "scaling_two_workers",
)


@cache
def about() -> dict[str, Any]:
    """Return hardware and versions, as they are when first asked for."""
    found = device.environment(device.choose(RunSettings()))
    return {
        "cpu": found.cpu,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "device": found.device,
        "precision": found.precision,
        "threads": found.threads,
        "platform": platform.platform(),
        "python": found.python,
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "git_commit": found.git_commit,
        "git_dirty": found.git_dirty,
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def entry(result: Result, quick: bool, load: float) -> dict[str, Any]:
    """Return what the files say of one result; ``load`` is the machine's before it was measured."""
    return {
        "median": result.median,
        "smallest": min(result.values),
        "largest": max(result.values),
        "standard_deviation": statistics.stdev(result.values) if len(result.values) > 1 else None,
        "n": len(result.values),
        "unit": result.unit,
        "values": list(result.values),
        "meaning": result.meaning,
        "timed": result.timed,
        "target": f"{result.target.kind} {result.target.value:g}",
        "reached": result.target.is_reached_by(result.median),
        "quick": quick,
        "load_before": load,
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "about": about(),
        "details": dict(result.details),
    }


def write(entries: Mapping[str, dict[str, Any]], folder: Path = FOLDER) -> None:
    """Write both files; keys that were not measured now keep what an earlier call measured."""
    known = _read(folder / "results.json")
    merged = {key: entries.get(key) or known.get(key) for key in KEYS}
    whole = {key: value for key, value in merged.items() if value}
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", whole)
    (folder / "results.md").write_text(table(whole), encoding="utf-8")


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def table(whole: Mapping[str, Any]) -> str:
    """Return results as Markdown: a table for each set of conditions, which stand above it."""
    groups: dict[str, list[str]] = {}
    for key in KEYS:
        if key in whole:
            groups.setdefault("\n".join(_conditions(whole[key]["about"])), []).append(key)
    tables = ("\n".join([conditions, "", *_rows(whole, keys), ""]) for conditions, keys in groups.items())
    return "\n".join(tables)


def _conditions(machine: Mapping[str, Any]) -> Iterable[str]:
    gpu = f", {machine['gpu']}" if machine["gpu"] else ""
    versions = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    yield f"Hardware: {machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']} GiB{gpu}."
    yield f"Computed on {machine['device']} in {machine['precision']}, {machine['threads']} threads."
    yield f"Versions: Python {machine['python']}, {versions}."


def _rows(whole: Mapping[str, Any], keys: Iterable[str]) -> Iterable[str]:
    yield "| key | what | median | smallest to largest | n | target | load before | commit |"
    yield "|---|---|---:|---:|---:|---|---:|---|"
    for key in keys:
        found = whole[key]
        unit = "" if found["unit"] == "epochs" else f" {found['unit']}"
        spread = f"{found['smallest']:.3g} to {found['largest']:.3g}"
        missed = "" if found["reached"] else ", missed"
        size = " (quick)" if found["quick"] else ""
        load = "not noted" if found["load_before"] is None else f"{found['load_before']:.1f}"
        commit = (found["about"]["git_commit"] or "?")[:8] + ("+" if found["about"]["git_dirty"] else "")
        yield (
            f"| `{key}`{size} | {found['meaning']} | {found['median']:.3g}{unit} | {spread} "
            f"| {found['n']} | {found['target']}{missed} | {load} | {commit} |"
        )
