"""The harness of ``bench/``: order, ratios, files and what is said when something is missing."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bench import __main__, images, memory, results, scaling, to_90, tutorial, workload
from bench.measuring import Options, Result, SkippedError, Stopwatch, Target, apart, in_turn
from pipeline.learn import models


def result(key: str = "throughput_vs_tutorial", values: tuple[float, ...] = (4.5, 3.0, 5.0)) -> Result:
    return Result(key, "ours / theirs", "everything", Target("at least", 4), values)


def test_contenders_take_turns() -> None:
    calls: list[str] = []

    rounds = list(in_turn(3, {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}))

    assert calls == ["a", "b"] * 3
    assert [list(r) for r in rounds] == [["a", "b"]] * 3


def test_contender_keeps_its_own_process() -> None:
    with apart(os.getpid) as first, apart(os.getpid) as second:
        assert first() == first() != second() == second() != os.getpid()


def test_stopwatch_leaves_out_the_warm_up() -> None:
    watch = Stopwatch(first=3, last=5)

    assert [watch.step() for _ in range(5)] == [False, False, False, False, True]
    assert watch.rate(10) == pytest.approx(30 / watch.seconds)


def test_files_hold_median_spread_and_conditions(tmp_path: Path) -> None:
    results.write({"throughput_vs_tutorial": results.entry(result(), quick=False, load=0.5)}, tmp_path)

    whole = json.loads((tmp_path / "results.json").read_text())
    found = whole["throughput_vs_tutorial"]
    assert (found["median"], found["smallest"], found["largest"], found["n"]) == (4.5, 3.0, 5.0, 3)
    assert found["reached"] is True
    assert {"cpu", "cores", "packages", "python"} <= set(found["about"])
    (row,) = [line for line in (tmp_path / "results.md").read_text().splitlines() if "`thr" in line]
    start, _, commit = row.removesuffix(" |").rpartition(" | ")
    assert start == "| `throughput_vs_tutorial` | ours / theirs | 4.5 × | 3 to 5 | 3 | at least 4 | 0.5"
    assert commit.removesuffix("+") == (found["about"]["git_commit"] or "?")[:8]


def test_keys_measured_earlier_are_kept(tmp_path: Path) -> None:
    for key in ("epochs_to_90", "probe_vs_forward"):
        results.write({key: results.entry(result(key), quick=True, load=0.0)}, tmp_path)

    assert list(json.loads((tmp_path / "results.json").read_text())) == ["epochs_to_90", "probe_vs_forward"]


def test_figures_of_two_machines_stand_in_two_tables(tmp_path: Path) -> None:
    here = results.entry(result("probe_vs_forward"), quick=True, load=0.0)
    there = results.entry(result("epochs_to_90"), quick=True, load=0.0)
    there["about"] = {**there["about"], "cpu": "Another", "threads": 64}
    results.write({"probe_vs_forward": here, "epochs_to_90": there}, tmp_path / "new")

    text = (tmp_path / "new" / "results.md").read_text()
    first, second = text.split("Hardware: ")[1:]
    assert "`epochs_to_90`" in first
    assert first.startswith("Another")
    assert "64 threads" in first
    assert "`probe_vs_forward`" in second
    assert results.about()["cpu"] in second


def test_missed_target_is_said(tmp_path: Path) -> None:
    results.write(
        {"scaling_two_workers": results.entry(result("scaling_two_workers", (1.5,)), True, 0.0)}, tmp_path
    )
    assert "| at least 4, missed |" in (tmp_path / "results.md").read_text()


def test_every_key_belongs_to_one_comparison() -> None:
    assert sorted(key for comparison in __main__.COMPARISONS for key in comparison.KEYS) == sorted(
        results.KEYS
    )


def test_missing_images_are_named_in_one_line(workplace: Path) -> None:
    with pytest.raises(SkippedError, match=r"^data/cifar10-jpeg: no JPEG CIFAR-10 here\.") as caught:
        images.cifar10_jpeg()
    assert "\n" not in str(caught.value)


def test_goal_counts_training_seconds_up_to_the_first_epoch_that_reaches_it() -> None:
    found = to_90.to_goal(iter([(10.0, 0.7), (11.0, 0.91), (12.0, 0.95)]))

    assert (found["seconds"], found["epochs"], found["reached"]) == (21.0, 2, True)
    assert to_90.to_goal(iter([(10.0, 0.7)]))["reached"] is False


def test_loop_that_misses_the_goal_counts_up_to_the_epoch_that_ends_after_its_limit() -> None:
    found = to_90.to_goal(iter([(10.0, 0.5), (10.0, 0.6), (10.0, 0.95)]), limit=15)
    assert (found["seconds"], found["epochs"], found["reached"]) == (20.0, 2, False)


def test_round_of_the_race_that_ours_misses_counts_as_nothing_gained() -> None:
    ours = to_90.to_goal(iter([(10.0, 0.7), (10.0, 0.8)]))
    race, epochs = to_90._results([{"ours": ours, "tutorial": to_90.to_goal(iter(()))}])

    assert race.values == [0.0]
    assert epochs.values == [3.0]


def test_tutorial_trains_the_same_network_as_ours(workplace: Path) -> None:
    for label in ("cat", "dog"):
        (workplace / "train" / label).mkdir(parents=True)
        pixels = np.full((32, 32, 3), 200 if label == "cat" else 20, dtype=np.uint8)
        for number in range(4):
            Image.fromarray(pixels).save(workplace / "train" / label / f"{number}.png")
    settings = workload.settings(image_size=32)
    ours = models.build(settings, [str(i) for i in range(10)], models.preprocessing(settings))
    theirs = workload.network()
    trained = [p for p in theirs.parameters() if p.requires_grad]
    before = [p.detach().clone() for p in trained]

    found = tutorial.train_loader(workplace).dataset
    loader = torch.utils.data.DataLoader(found, batch_size=4)  # without worker processes
    tutorial.train(theirs, loader, tutorial.optimizer_of(theirs), torch.device("cpu"))

    assert [p.shape for p in ours.parameters()] == [p.shape for p in theirs.parameters()]
    assert not any(torch.equal(p, old) for p, old in zip(trained, before, strict=True))


def test_skipped_comparison_is_named_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(_options: Options) -> list[Result]:
        raise SkippedError("no images here")

    monkeypatch.setattr(memory, "compare", missing)
    monkeypatch.setattr(scaling, "compare", lambda _: [result("scaling_two_workers")])

    assert __main__.main(["--only", *memory.KEYS, *scaling.KEYS, "--output", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert "skipped: no images here" in said.err
    assert "scaling_two_workers" in said.out
