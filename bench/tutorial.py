"""The peer: training as PyTorch's own tutorials write it.

ImageFolder, PIL transforms and a DataLoader with two workers, as in "Training a Classifier"
(pytorch.org/tutorials/beginner/blitz/cifar10_tutorial.html); crop, flip, normalisation, SGD and
cosine schedule as in the CIFAR-10 repository that most people start from (kuangliu/pytorch-cifar).
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from bench import workload
from bench.measuring import Stopwatch, synchronize
from pipeline.experiment import RunSettings

LEARNING_RATE = 0.1
TEST_BATCH = 100


def train_loader(folder: Path) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the tutorial's loader of training images."""
    transform = transforms.Compose(
        [
            transforms.RandomCrop(32, padding=4),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(workload.MEAN, workload.STD),
        ]
    )
    trainset = datasets.ImageFolder(str(folder / "train"), transform=transform)
    return DataLoader(trainset, batch_size=workload.BATCH_SIZE, shuffle=True, num_workers=2)


def test_loader(folder: Path) -> DataLoader[tuple[Tensor, Tensor]]:
    """Return the tutorial's loader of test images."""
    transform = transforms.Compose([transforms.ToTensor(), transforms.Normalize(workload.MEAN, workload.STD)])
    testset = datasets.ImageFolder(str(folder / "test"), transform=transform)
    return DataLoader(testset, batch_size=TEST_BATCH, shuffle=False, num_workers=2)


def optimizer_of(net: nn.Module) -> optim.Optimizer:
    """Return the optimizer that these tutorials use."""
    return optim.SGD(net.parameters(), lr=LEARNING_RATE, momentum=0.9, weight_decay=5e-4)


def train(
    net: nn.Module,
    loader: DataLoader[tuple[Tensor, Tensor]],
    optimizer: optim.Optimizer,
    device: torch.device,
    step_done: Callable[[], bool] = lambda: False,
) -> None:
    """Train for one epoch, or until ``step_done`` returns True."""
    criterion = nn.CrossEntropyLoss()
    net.train()
    running_loss, correct = 0.0, 0
    for inputs, targets in loader:
        inputs, targets = inputs.to(device), targets.to(device)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, targets)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
        correct += outputs.argmax(dim=1).eq(targets).sum().item()
        if step_done():
            break


@torch.no_grad()
def accuracy(net: nn.Module, loader: DataLoader[tuple[Tensor, Tensor]], device: torch.device) -> float:
    """Return the share of right answers."""
    net.eval()
    correct, total = 0, 0
    for inputs, targets in loader:
        outputs = net(inputs.to(device))
        total += len(targets)
        correct += outputs.argmax(dim=1).eq(targets.to(device)).sum().item()
    return correct / total


def prepared_network(settings: RunSettings, folder: Path, device: torch.device) -> nn.Module:
    """Return the same net as ours, its stem adapted to 2,000 training images as ours is."""
    net = workload.network(settings)
    found = [inputs for inputs, _ in _first(train_loader(folder), 2000 // workload.BATCH_SIZE + 1)]
    net.prepare(torch.cat(found)[:2000])
    return net.to(device)


def _first(loader: DataLoader[tuple[Tensor, Tensor]], count: int) -> Iterator[tuple[Tensor, Tensor]]:
    for number, batch in enumerate(loader, start=1):
        yield batch
        if number == count:
            return


def images_per_second(folder: Path, first: int, last: int) -> float:
    """Return the training rate over the steps ``first`` ... ``last`` of an epoch.

    Timed: the loop's body and waiting for the DataLoader, whose workers are warm by then.
    """
    device = workload.device()
    net = workload.network().to(device)
    watch = Stopwatch(first, last)
    train(net, train_loader(folder), optimizer_of(net), device, watch.step)
    return watch.rate(workload.BATCH_SIZE)


def epochs(settings: RunSettings, folder: Path, count: int) -> Iterator[tuple[float, float]]:
    """Train the net of these settings; yield each epoch's seconds of training and the test accuracy.

    Timed: whole training epochs, with the start of the DataLoader's workers; not the test passes.
    """
    device = workload.device()
    net = prepared_network(settings, folder, device)
    loader, tests = train_loader(folder), test_loader(folder)
    optimizer = optimizer_of(net)
    scheduler = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=count)
    for _ in range(count):
        started = time.perf_counter()
        train(net, loader, optimizer, device)
        scheduler.step()
        synchronize()
        seconds = time.perf_counter() - started
        yield seconds, accuracy(net, tests, device)
