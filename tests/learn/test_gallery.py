"""The pictures that notebook and report show are the right ones, small, and rightly named."""

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from pipeline import fonts
from pipeline.experiment import RunSettings
from pipeline.learn import data, device, gallery
from pipeline.learn.models.weights import Preprocessing
from pipeline.record import GALLERY_COLUMNS, SplitPredictions
from tests.learn.made_images import write_classes


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("loaded")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return load(folder, {"a $x$ b": 30, "<b>": 30, "a very long name of a class of images": 30})


def load(tmp_path, classes, size=(16, 16)):
    write_classes(tmp_path / "data", classes, size)
    settings = RunSettings(
        dataset="image_folder", device="cpu", precision="fp32", augmentation=["flip", "crop"]
    )
    return data.load(settings, Preprocessing(), device.choose(settings)), settings


def predictions(split, wrong=()):
    """Return predictions that are right but for the rows in ``wrong``, each surer than the one before."""
    probability = np.full((len(split), 3), 0.1, dtype=np.float32)
    answers = split.targets.numpy().copy()
    for number, row in enumerate(wrong):
        answers[row] = (answers[row] + 1) % 3
        probability[row, answers[row]] = 0.5 + number / 100
    probability[np.arange(len(split)), answers] = np.maximum(probability.max(1), 0.4)
    return SplitPredictions(split.index, split.targets.numpy(), probability)


def decoded(png):
    return np.asarray(Image.open(io.BytesIO(png)))


def test_it_holds_samples_of_each_class_views_and_mistakes(loaded):
    images, settings = loaded
    table = gallery.gallery(
        images, {"val": predictions(images.val), "test": predictions(images.test, [3, 0])}, settings
    )
    assert list(table.columns) == list(GALLERY_COLUMNS)
    samples = table[table["kind"] == "sample"]
    assert samples["target"].value_counts().to_dict() == {0: 8, 1: 8, 2: 8}
    assert set(samples["split"]) == {"train"}
    views = table[table["kind"] == "augmented"]
    assert len(views) == 3 * gallery.VIEWS
    assert set(views["index"]) <= set(samples["index"])
    errors = table[table["kind"] == "error"]
    assert errors["index"].tolist() == [0, 3]
    assert errors["file"].tolist() == [images.test.files[0], images.test.files[3]]


def test_pictures_are_the_images_they_are_named_for(loaded):
    images, settings = loaded
    table = gallery.gallery(images, {"val": predictions(images.val, [2])}, settings)
    for row in table.itertuples():
        split = getattr(images, row.split)
        assert split.targets[row.index] == row.target
        if row.kind != "augmented":
            assert np.array_equal(decoded(row.png), split.pixels[row.index].numpy())


def test_the_most_confident_mistakes_of_both_splits_come_first(loaded, monkeypatch):
    images, _ = loaded
    monkeypatch.setattr(gallery, "MOST_ERRORS", 3)
    found = {"val": predictions(images.val, [1, 2, 3]), "test": predictions(images.test, [4, 5, 6, 7])}
    errors = gallery.gallery(images, found).query("kind == 'error'")
    assert list(zip(errors["split"], errors["index"], strict=True)) == [("test", 7), ("test", 6), ("val", 3)]


def test_large_images_become_small_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_classes(tmp_path / "data", {"a": 5, "b": 5}, (100, 100))
    settings = RunSettings(dataset="image_folder", device="cpu", precision="fp32", image_size=100)
    images = data.load(settings, Preprocessing(), device.choose(settings))
    assert images.train.pixels.shape[1] == 100
    assert {decoded(png).shape for png in gallery.gallery(images, {})["png"]} == {(64, 64, 3)}


def test_many_classes_have_few_samples_each(loaded, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_SAMPLES", 5)
    assert len(gallery.sample_rows(loaded[0])) == 3


def test_without_augmentation_there_are_no_views(loaded):
    images, settings = loaded
    table = gallery.gallery(images, {}, settings.model_copy(update={"augmentation": []}))
    assert set(table["kind"]) == {"sample"}


def test_figures_name_classes_as_they_are_written(loaded):
    images, settings = loaded
    for figure in (gallery.show_samples(images), gallery.show_augmented(images, settings)):
        axes = figure.axes[0]
        names = [label.get_text() for label in axes.get_yticklabels()]
        assert names == ["<b>", "a $x$ b", "a very long name of a c…"]
        assert not any(label.get_parse_math() for label in axes.get_yticklabels())
        figure.savefig(io.BytesIO(), format="png")


def test_the_users_own_style_changes_no_picture(loaded):
    images, settings = loaded
    columns = ("epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy")
    history = pd.DataFrame({column: [1] for column in columns})
    answers = {"test": predictions(images.test)}
    with mpl.rc_context({"text.usetex": True, "font.family": "Nonexistent", "figure.facecolor": "black"}):
        for figure in (
            gallery.show_samples(images),
            gallery.show_augmented(images, settings),
            gallery.show_curves(history),
            gallery.show_confusion(answers, images.classes),
        ):
            assert figure.get_facecolor() == (1, 1, 1, 1)
            figure.savefig(io.BytesIO(), format="png")  # without a LaTeX, which may not be here


def test_names_that_no_font_draws_are_numbered_and_told(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fonts, "_others", list)  # a machine without fonts of its own
    images, _ = load(tmp_path, {"cat": 4, "止血钳": 4, "مقص": 4})
    answers = {"test": predictions(images.test)}
    for draw in (gallery.show_samples, lambda images: gallery.show_confusion(answers, images.classes)):
        figure = draw(images)
        assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["cat", "مقص", "class 2"]
        figure.savefig(io.BytesIO(), format="png")  # a missing glyph would warn, which is an error
        assert capsys.readouterr().out == "No font here draws all letters of some names: class 2 is 止血钳.\n"


def test_a_font_of_the_machine_draws_what_the_usual_one_lacks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(fonts, "_others", lambda: [("Latin", frozenset("ab")), ("Han", frozenset("止血钳"))])
    images, _ = load(tmp_path, {"cat": 4, "止血钳": 4})
    labels = gallery.show_samples(images).axes[0].get_yticklabels()
    assert [(label.get_text(), label.get_fontfamily()) for label in labels] == [
        ("cat", ["DejaVu Sans", "Han"]),
        ("止血钳", ["DejaVu Sans", "Han"]),
    ]


def test_a_confusion_matrix_of_many_classes_is_drawn_without_names():
    count = gallery.MOST_CLASSES_NAMED + 1
    many = [f"class {k}" for k in range(count)]
    answers = np.eye(count, dtype=np.float32)[[0, count - 2]]
    split = SplitPredictions(np.arange(2), np.array([0, count - 1]), answers)
    figure = gallery.show_confusion({"test": split}, many)
    assert len(figure.axes[0].get_xticks()) == 0
    figure.savefig(io.BytesIO(), format="png")


def test_the_first_column_of_augmented_images_is_as_it_is(loaded):
    images, settings = loaded
    figure = gallery.show_augmented(images, settings)
    shown = figure.axes[0].get_images()[0].get_array()
    row = gallery.sample_rows(images, 1)[0]
    assert np.array_equal(shown[:16, :16], images.train.pixels[row].numpy())
    assert figure.axes[0].get_xticklabels()[0].get_text() == "as it is"


def test_at_most_twenty_classes_are_drawn(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images, _ = load(tmp_path, {f"class {k:02}": 4 for k in range(30)})
    names = [label.get_text() for label in gallery.show_samples(images).axes[0].get_yticklabels()]
    assert (len(names), names[0], names[-1]) == (20, "class 00", "class 29")


def test_views_do_not_disturb_training(loaded):
    images, settings = loaded
    before = [x for x, _ in images.train_batches(0, 0, settings)]
    gallery.show_augmented(images, settings)
    assert all(
        torch.equal(a, b) for a, (b, _) in zip(before, images.train_batches(0, 0, settings), strict=True)
    )
