"""Baselines answer as their definitions say, choose on val alone, and cost seconds."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from pipeline.experiment import RunSettings
from pipeline.learn import baselines, models
from pipeline.learn.baselines import Labelled, commonest_class, nearest_neighbours, shrunk, thumbnails
from tests.learn import tiny


def split(values: np.ndarray, targets: np.ndarray) -> Labelled:
    return Labelled(values, targets.astype(np.int64), np.arange(len(targets)) * 2)


def blobs(sizes: dict[str, int], classes: int = 3, features: int = 5, seed: int = 0) -> dict[str, Labelled]:
    """Return features around one centre for each class."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(classes, features))
    made = {}
    for name, size in sizes.items():
        targets = np.arange(size) % classes
        noise = random.normal(0, 0.7, (size, features))
        made[name] = split((centres[targets] + noise).astype(np.float32), targets)
    return made


def colours(sizes: dict[str, int], seed: int = 0) -> dict[str, Labelled]:
    """Return noisy images uint8 [n, 20, 20, 3], of class 1 where the left half is the brighter one."""
    random, made = np.random.default_rng(seed), {}
    for name, size in sizes.items():
        targets = random.integers(0, 2, size)
        pixels = random.integers(0, 200, (size, 20, 20, 3))
        pixels[:, :, :10] += 20 * targets[:, None, None, None]
        pixels[:, :, 10:] += 20 * (1 - targets)[:, None, None, None]
        made[name] = split(pixels.astype(np.uint8), targets)
    return made


SIZES = {"train": 300, "val": 60, "test": 90}


@pytest.mark.parametrize("baseline", [commonest_class, nearest_neighbours])
def test_answers_have_the_records_form(baseline) -> None:
    data = blobs(SIZES)
    made = baseline(data, 4)  # a class that train lacks
    assert list(made.predictions) == ["val", "test"]
    for name, answers in made.predictions.items():
        assert answers.probability.shape == (SIZES[name], 4)
        assert answers.probability.dtype == np.float32
        assert np.allclose(answers.probability.sum(axis=1), 1, atol=1e-5)
        assert answers.probability.min() > 0
        assert np.array_equal(answers.index, data[name].index)
        assert np.array_equal(answers.target, data[name].targets)


def test_commonest_class_of_train_is_always_answered() -> None:
    data = {
        "train": split(np.zeros(6), np.array([1, 1, 1, 0, 2, 2])),
        "val": split(np.zeros(2), np.array([0, 1])),
    }
    made = commonest_class(data | {"test": split(np.zeros(3), np.array([2, 2, 2]))}, 3)
    assert made.predictions["test"].predicted.tolist() == [1, 1, 1]
    assert made.predictions["val"].probability[0] == pytest.approx(np.array([2, 4, 3]) / 9)
    assert made.predictions["val"].correct.tolist() == [False, True]


def test_shrunk_images_are_averages_over_fields() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 16, 16, 3)).astype(np.uint8)
    expected = (
        pixels.reshape(700, 8, 2, 8, 2, 3).mean(axis=(2, 4)).transpose(0, 3, 1, 2).reshape(700, 192) / 255
    )
    assert shrunk(pixels) == pytest.approx(expected, abs=1e-5)
    assert shrunk(pixels[:2, :10, :13]).shape == (2, 192)


def test_thumbnails_learn_where_an_image_is_bright() -> None:
    data = colours({"train": 400, "val": 100, "test": 200})
    made = thumbnails(data, 2)
    assert made.predictions["test"].correct.mean() > 0.9
    assert made.settings["C"] in (0.001, 0.1)
    assert np.allclose(made.predictions["val"].probability.sum(axis=1), 1, atol=1e-5)


def test_thumbnails_of_one_colour_give_no_warning() -> None:
    flat = {name: split(np.full((4, 9, 9, 3), 7, np.uint8), np.array([0, 1, 0, 1])) for name in SIZES}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert thumbnails(flat, 2).predictions["test"].probability == pytest.approx(
            np.full((4, 2), 0.5), abs=1e-3
        )


def test_thumbnails_of_one_class_answer_it() -> None:
    data = {name: split(np.full((3, 8, 8, 3), 9, np.uint8), np.array([1, 1, 1])) for name in SIZES}
    assert thumbnails(data, 2).predictions["test"].predicted.tolist() == [1, 1, 1]


@pytest.mark.parametrize("count", [1, 5, 20])
def test_neighbours_vote_as_in_scikit_learn(count: int) -> None:
    data = blobs({"train": 600, "val": 60, "test": 700})
    peer = KNeighborsClassifier(
        count, metric="cosine", weights=lambda distance: np.exp(-(distance - distance[:, :1]) / 0.07)
    )
    peer.fit(data["train"].values, data["train"].targets)
    ours = nearest_neighbours(data, 3, counts=(count,)).predictions["test"]
    expected = peer.predict_proba(data["test"].values)
    assert ours.probability == pytest.approx((count * expected + 0.01) / (count + 0.03), abs=2e-3)


def test_count_of_neighbours_is_chosen_on_val_alone() -> None:
    data = blobs({"train": 600, "val": 200, "test": 200})
    scores = {k: nearest_neighbours(data, 3, (k,)).predictions["val"].correct.mean() for k in (1, 5, 20, 50)}
    made = nearest_neighbours(data, 3)
    assert scores[made.settings["neighbours"]] == max(scores.values())
    shuffled = data | {"test": split(data["test"].values, np.roll(data["test"].targets, 1))}
    assert nearest_neighbours(shuffled, 3).settings == made.settings


def test_more_neighbours_than_images_are_all_of_them() -> None:
    made = nearest_neighbours(blobs({"train": 4, "val": 6, "test": 6}, classes=2), 2, counts=(20, 50))
    assert made.settings == {"neighbours": 4}


def test_features_of_nothing_are_no_error() -> None:
    zeros = {name: split(np.zeros((3, 4), np.float32), np.array([0, 1, 1])) for name in SIZES}
    assert np.isfinite(nearest_neighbours(zeros, 2).predictions["test"].probability).all()


def kept(chosen: RunSettings, name: str = "run") -> dict[str, Any]:
    """Let a run keep its baselines; return their answers on test by name."""
    network = tiny.transfer_network(chosen) if chosen.pretrained else tiny.network(chosen)
    folder = tiny.run(Path.cwd(), name)
    baselines.keep(folder, network, tiny.images(chosen), chosen, tiny.CPU)
    written = json.loads((folder.path / "baselines.json").read_text(encoding="utf-8"))
    return {one["name"]: one["predicted"]["test"] for one in written}


@pytest.mark.usefixtures("workplace")
def test_run_keeps_what_it_has_to_beat_and_the_next_one_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    first = kept(tiny.settings())
    assert list(first) == ["commonest class", "logistic regression on 8 × 8 pixels"]
    targets = tiny.images(tiny.settings()).test.targets.numpy()
    scores = {name: float(np.mean(answers == targets)) for name, answers in first.items()}
    assert scores["commonest class"] < 0.2 < 0.6 < scores["logistic regression on 8 × 8 pixels"]
    monkeypatch.setattr(baselines, "thumbnails", None)
    assert kept(tiny.settings(seed=1, learning_rate=0.1), "again") == first


@pytest.mark.usefixtures("workplace")
def test_features_are_those_of_the_network_before_it_was_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = kept(tiny.transfer_settings())["nearest neighbours of frozen features"]
    monkeypatch.setattr(baselines, "_kept", lambda what, images, settings, make: made_again(make))
    monkeypatch.setattr(models, "build", lambda settings, *_: tiny.transfer_network(settings))
    chosen = tiny.transfer_settings(mode="fine_tune")
    network = tiny.transfer_network(chosen)
    for parameter in network.parameters():  # what training did to it
        parameter.data.zero_()
    found = baselines.answers(network, tiny.images(chosen), chosen, tiny.CPU)
    assert found[-1].predicted["test"] == probe


def made_again(make: Any) -> Any:
    return baselines.BaselineAnswers(**baselines._plain(make()))


@pytest.mark.usefixtures("workplace")
def test_subset_is_all_that_its_baselines_learn_from() -> None:
    few, many = (kept(tiny.settings(train_size=n), str(n)) for n in (10, 100))
    assert few["logistic regression on 8 × 8 pixels"] != many["logistic regression on 8 × 8 pixels"]
