"""What lets rare classes count as much as common ones: weights of the loss, and how often they are shown."""

import torch
from torch import Tensor


def weights(targets: Tensor, classes: int) -> Tensor:
    """Return a weight for each class, float [classes]: n / (k · images of it), as scikit-learn's "balanced".

    Over ``targets`` int64 [n] the weights sum to n; ``k`` counts the classes that are there.
    """
    counts = torch.bincount(targets, minlength=classes).float()
    return torch.where(counts > 0, len(targets) / (counts.count_nonzero() * counts.clamp(min=1)), 0)


def order(targets: Tensor, random: torch.Generator, balanced: bool) -> Tensor:
    """Return the positions that one pass over the images shows, int64 [n] on the CPU, in random order.

    Each image comes once. ``balanced``, each class comes equally often: of a rare one each image again and
    again, of a common one a part, drawn anew for each pass.
    """
    count = len(targets)
    if not balanced:
        return torch.randperm(count, generator=random)
    labels = targets.cpu()
    present = labels.unique()
    seats = _shared(count, len(present), random)
    shown = [
        _repeated((labels == label).nonzero().flatten(), int(seat), random)
        for label, seat in zip(present, seats, strict=True)
    ]
    together = torch.cat(shown)
    return together[torch.randperm(count, generator=random)]


def _shared(count: int, classes: int, random: torch.Generator) -> Tensor:
    """Share ``count`` among classes as evenly as can be; chance says which get one more."""
    seats = torch.full((classes,), count // classes)
    seats[torch.randperm(classes, generator=random)[: count % classes]] += 1
    return seats


def _repeated(positions: Tensor, count: int, random: torch.Generator) -> Tensor:
    """Return ``count`` of the positions, each again only when all others have come as often."""
    rounds = -(-count // len(positions))
    passes = [positions[torch.randperm(len(positions), generator=random)] for _ in range(rounds)]
    return torch.cat([*passes, positions[:0]])[:count]
