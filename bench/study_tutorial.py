"""The peer of a whole study: one script as the tutorials have it, from folders of images to figures.

ImageFolder, PIL transforms and a DataLoader with two workers (pytorch.org, "Training a Classifier"), a
frozen backbone that every image passes in every epoch (pytorch.org, "Transfer Learning for Computer
Vision"), fp32, scikit-learn's metrics and Matplotlib's figures. Networks, epochs, sizes and learning rates
are those of the study. ``python -m bench.study_tutorial study.json`` works in the file's folder.
"""

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from sklearn.metrics import ConfusionMatrixDisplay, classification_report
from torch import nn, optim
from torch.utils.data import DataLoader, random_split
from torchvision import datasets, models, transforms

from pipeline.experiment import RunSettings
from pipeline.learn.models import lite
from pipeline.learn.models.custom_cnn import CustomCNN

mpl.use("Agg")
from matplotlib import pyplot as plt

NORMALIZE = {"scratch": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)), "lite": (lite.MEAN, lite.STD)}
Batches = Any


def loaders(data_dir: str, settings: RunSettings) -> tuple[Batches, Batches, Batches]:
    """Return the batches of train, val and test, as the tutorials load them."""
    size = settings.image_size or 32
    resize = [transforms.Resize(size)] if size != 32 else []
    mean_std = NORMALIZE["lite" if settings.model == "efficientnet_lite0" else "scratch"]
    plain = [transforms.ToTensor(), transforms.Normalize(*mean_std)]
    augmented = [transforms.RandomCrop(size, padding=size // 8), transforms.RandomHorizontalFlip()]
    sets = [
        datasets.ImageFolder(f"{data_dir}/{split}", transforms.Compose(steps))
        for split, steps in (
            ("train", [*resize, *augmented, *plain]),
            ("train", [*resize, *plain]),
            ("test", [*resize, *plain]),
        )
    ]
    parts = [1 - settings.val_fraction, settings.val_fraction]
    train, _ = random_split(sets[0], parts, torch.Generator().manual_seed(0))
    _, val = random_split(sets[1], parts, torch.Generator().manual_seed(0))
    return tuple(
        DataLoader(data, settings.batch_size, shuffle=data is train, num_workers=2)
        for data in (train, val, sets[2])
    )


def network(settings: RunSettings, classes: int, train: Batches) -> nn.Module:
    """Return a new network, with the same pretrained weights as the study's where it has any."""
    if settings.model == "resnet18":
        return models.resnet18(num_classes=classes)
    if settings.model == "efficientnet_lite0":
        net: Any = lite._network(settings.model)
        net.load_state_dict(lite.state(settings))
        net.reset_classifier(classes)
        return net
    custom = CustomCNN(classes, settings.widths, settings.depth, settings.dropout, image_size=32)
    custom.prepare(torch.cat([inputs for inputs, _ in train])[:2000])
    return custom


def passed(net: nn.Module, batches: Batches, optimizer: Any = None, scheduler: Any = None) -> dict[str, Any]:
    """Show a network all batches once, training it where there is an optimizer."""
    criterion = nn.CrossEntropyLoss()
    net.train(optimizer is not None)
    loss_sum, targets, answers = 0.0, [], []
    with torch.set_grad_enabled(optimizer is not None):
        for inputs, labels in batches:
            outputs = net(inputs)
            loss = criterion(outputs, labels)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            loss_sum += loss.item() * len(labels)
            targets += labels.tolist()
            answers += outputs.argmax(dim=1).tolist()
    right = sum(a == t for a, t in zip(answers, targets, strict=True))
    return {"loss": loss_sum / len(targets), "accuracy": right / len(targets), "t": targets, "a": answers}


def fit(net: nn.Module, settings: RunSettings, epochs: int, rate: float, data: Any) -> list[Any]:
    """Train what is not frozen for some epochs, with a val pass after each."""
    train, val, _ = data
    trained = [p for p in net.parameters() if p.requires_grad]
    if settings.optimizer == "sgd":
        optimizer: Any = optim.SGD(trained, rate, settings.momentum, weight_decay=5e-4, nesterov=True)
    else:
        optimizer = optim.AdamW(trained, rate, weight_decay=5e-4)
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * len(train))
    return [(passed(net, train, optimizer, scheduler), passed(net, val)) for _ in range(epochs)]


def study(settings: RunSettings, data_dir: str, place: Path) -> float:
    """Train one network, test it, write its metrics, figures and weights; return its test accuracy."""
    data = loaders(data_dir, settings)
    classes = data[2].dataset.classes
    net, history = network(settings, len(classes), data[0]), []
    rate = settings.learning_rate
    if settings.pretrained:
        for name, parameter in net.named_parameters():
            parameter.requires_grad = name.startswith("classifier")
        head = settings.epochs if settings.mode == "linear_probe" else settings.head_epochs
        history += fit(net, settings, head, rate, data)
        rate *= settings.backbone_learning_rate_factor
    if settings.mode == "fine_tune":
        net.requires_grad_(True)
    if settings.mode != "linear_probe":
        history += fit(net, settings, settings.epochs, rate, data)
    tested = passed(net, data[2])
    report = classification_report(tested["t"], tested["a"], target_names=classes, zero_division=0)
    place.with_suffix(".txt").write_text(report, encoding="utf-8")
    draw(history, tested, classes, place)
    torch.save(net.state_dict(), place.with_suffix(".pt"))
    return float(tested["accuracy"])


def draw(history: list[Any], tested: dict[str, Any], classes: list[str], place: Path) -> None:
    """Draw the curves and the confusion matrix."""
    figure, panels = plt.subplots(1, 2, figsize=(10, 4))
    for axes, what in zip(panels, ("loss", "accuracy"), strict=True):
        for number, split in enumerate(("train", "val")):
            axes.plot([epoch[number][what] for epoch in history], label=split)
        axes.set(xlabel="epoch", ylabel=what)
        axes.legend()
    figure.savefig(f"{place}-curves.png")
    matrix = ConfusionMatrixDisplay.from_predictions(tested["t"], tested["a"], display_labels=classes)
    matrix.figure_.savefig(f"{place}-confusion.png")
    plt.close("all")


def main(given: Path) -> None:
    """Train every model; write their test accuracies, in their order, to ``accuracies.json``."""
    asked = json.loads(given.read_text(encoding="utf-8"))
    torch.manual_seed(0)
    found = [
        study(
            RunSettings(**values), asked["data_dir"], given.with_name(f"{values['model']}-{values['mode']}")
        )
        for values in asked["runs"]
    ]
    given.with_name("accuracies.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
