"""The whole of training on real photographs: the shipped recipe on a part of CIFAR-10 (JPEG)."""

import zipfile
from pathlib import Path

import pytest

from pipeline.experiment import RunSettings
from pipeline.learn import data, evaluate, models, train
from tests.learn import tiny

ARCHIVE = Path(__file__).parents[3] / "shared/data/cifar10-jpeg.zip"
PER_CLASS = {"train": 300, "test": 100}


def unpack(folder: Path) -> None:
    with zipfile.ZipFile(ARCHIVE) as archive:
        for name in archive.namelist():
            part, _, rest = name.partition("/")
            if rest.endswith(".jpg") and int(Path(rest).stem) < PER_CLASS[part]:
                archive.extract(name, folder)


@pytest.mark.slow
@pytest.mark.skipif(not ARCHIVE.is_file(), reason="needs ../shared/data/cifar10-jpeg.zip")
def test_small_custom_cnn_tells_photographs_apart_after_four_epochs(workplace: Path) -> None:
    unpack(workplace / "images")
    settings = RunSettings(
        dataset="image_folder",
        data_dir="images",
        augmentation=["crop", "alternating_flip"],
        widths=[32, 64, 128],
        epochs=4,
        optimizer="sgd",
        learning_rate=0.6,
        momentum=0.85,
        label_smoothing=0.2,
        weight_averaging=True,
        flip_at_test=True,
    )
    images = data.load(settings, models.preprocessing(settings), tiny.CPU)
    network = models.build(settings, images.classes, images.preprocessing)
    train.fit(network, images, settings, tiny.run(workplace), tiny.CPU)
    predictions = evaluate.predict(network, images, settings, tiny.CPU)
    assert evaluate.metrics(predictions).loc["test", "accuracy"] > 0.45
