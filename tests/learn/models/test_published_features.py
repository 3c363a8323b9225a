"""Real transfer: published features tell real photographs apart, without any training of the backbone."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from pipeline.experiment import RunSettings
from pipeline.learn import models
from pipeline.learn.models.weights import Preprocessing

ARCHIVE = Path("shared/data/cifar10-jpeg.zip")
PER_CLASS = 50


def photographs(archive: Path, split: str, expected: Preprocessing) -> tuple[Tensor, np.ndarray]:
    """Return the first images of each class, float [N, 3, S, S] as the network expects, and classes [N]."""
    images, targets = [], []
    with zipfile.ZipFile(archive) as file:
        names = sorted(name for name in file.namelist() if name.startswith(f"{split}/"))
        classes = sorted({name.split("/")[1] for name in names})
        for target, label in enumerate(classes):
            for name in [n for n in names if n.split("/")[1] == label][:PER_CLASS]:
                image = Image.open(io.BytesIO(file.read(name))).convert("RGB")
                resized = image.resize((expected.image_size,) * 2, Image.Resampling.BICUBIC)
                images.append(np.asarray(resized))
                targets.append(target)
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value)[:, None, None] for value in (expected.mean, expected.std))
    return (x - mean) / std, np.array(targets)


def features(network: nn.Module, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return torch.cat([network.features(batch) for batch in x.split(100)]).numpy()


@pytest.mark.slow
def test_published_features_tell_real_photographs_apart(root: Path) -> None:
    archive = root.parent / ARCHIVE
    if not archive.is_file():
        pytest.skip(f"needs the real images in ../{ARCHIVE}")
    settings = RunSettings(model="efficientnet_lite0", mode="linear_probe", image_size=64)
    expected = models.preprocessing(settings)
    network = models.build(settings, [str(k) for k in range(10)], expected).eval()
    x_train, y_train = photographs(archive, "train", expected)
    x_test, y_test = photographs(archive, "test", expected)
    train, test = features(network, x_train), features(network, x_test)
    scale = train.std()
    probe = LogisticRegression(C=0.01, max_iter=300).fit(train / scale, y_train)
    accuracy = probe.score(test / scale, y_test)
    print(f"accuracy {accuracy:.3f}")
    assert accuracy > 0.40
    blank = models.build(settings.model_copy(update={"mode": "scratch"}), ["a", "b"], expected).eval()
    random = LogisticRegression(C=0.01, max_iter=300).fit(features(blank, x_train), y_train)
    assert accuracy > random.score(features(blank, x_test), y_test) + 0.1  # it is the weights that do it
