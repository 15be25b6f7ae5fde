"""A toy batch: free points in the plane that a loss moves by itself; and a small network that it trains.

N points, 2 dimensions, C classes.
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from metric_lightning.callbacks.embedding_health import health_of
from metric_lightning.losses import MetricLoss

CLASSES = 3
EACH = 6  # points of a class
STEPS = 200
LEARNING_RATE = 0.03
TOGETHER = 0.01  # how far the points of a collapsed start lie from their middle


# Of the network: with less noise no miner collapses, with more no loss tells classes apart.
NETWORK_CLASSES = 6
_INPUTS, _HIDDEN, _NOISE, _NETWORK_STEPS, _NETWORK_RATE = 64, 64, 2.5, 300, 3e-3


class Descent(NamedTuple):
    """What became of a toy batch.

    Attributes:
        points: (N, 2), of length 1 where lengths mean nothing to the loss.
        overlap: probability that a pair of one class lies farther apart than a pair of different classes.
        spread: root mean square distance from the middle.
        apart: mean distance of points of different classes.
        weights: (n, 2), the loss's class weights, none for most.
    """

    points: Tensor
    overlap: float
    spread: float
    apart: float
    weights: Tensor


def toy_labels() -> Tensor:
    """Return (N,) labels, as many of each class."""
    return torch.arange(CLASSES).repeat_interleave(EACH)


def random_start(seed: int = 0) -> Tensor:
    """Return (N, 2): classes that overlap, around three places."""
    generator = torch.Generator().manual_seed(seed)
    angles = 2 * torch.pi * toy_labels() / CLASSES
    middles = torch.stack([angles.cos(), angles.sin()], 1)
    return 0.6 * middles + 0.45 * torch.randn(CLASSES * EACH, 2, generator=generator)


def collapsed_start(seed: int = 1) -> Tensor:
    """Return (N, 2): all points almost in one place, without regard to class."""
    generator = torch.Generator().manual_seed(seed)
    return torch.tensor([0.7, 0.2]) + TOGETHER * torch.randn(CLASSES * EACH, 2, generator=generator)


def pull(loss: MetricLoss, points: Tensor, labels: Tensor) -> Tensor:
    """Return (N, 2) where gradient descent would move the points, the longest arrow of length 1."""
    moving = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(moving, labels), moving)
    longest = gradient.norm(dim=1).max()
    return -gradient / longest if longest > 0 else torch.zeros_like(gradient)


def descend(loss: MetricLoss, points: Tensor, labels: Tensor) -> Descent:
    """Move the points, and the loss's own weights, by `STEPS` steps of Adam."""
    moving = points.clone().requires_grad_()
    optimizer = torch.optim.Adam([moving, *loss.parameters()], lr=LEARNING_RATE)
    for _ in range(STEPS):
        optimizer.zero_grad()
        value = loss(moving, labels)
        if value.requires_grad:
            value.backward()
        optimizer.step()
    found = shown(loss, moving.detach(), labels)
    return _as_descent(loss, found, labels)


def network_labels() -> Tensor:
    """Return (N,) labels of the samples that the small network is trained on."""
    return torch.arange(NETWORK_CLASSES).repeat_interleave(EACH)


def train_network(loss: MetricLoss) -> Descent:
    """Return the embedding of new samples after 300 steps of a small network on noisy samples of six classes.

    The batches are new at each step and weights start at random, as in a real run: this is where hard miners collapse,
    which free points, each of which can go where it likes, do not. Of three starts it is the one whose classes lie
    apart by neither most nor least.
    """
    found = [_train_network(copy.deepcopy(loss), seed) for seed in range(3)]
    return sorted(found, key=lambda trained: trained.apart)[1]


def _train_network(loss: MetricLoss, seed: int) -> Descent:
    torch.manual_seed(seed)
    middles, labels = torch.randn(NETWORK_CLASSES, _INPUTS), network_labels()
    layers = [nn.Linear(_INPUTS, _HIDDEN), nn.PReLU(), nn.Linear(_HIDDEN, _HIDDEN), nn.PReLU(), nn.Linear(_HIDDEN, 2)]
    network = nn.Sequential(*layers)
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=_NETWORK_RATE)

    def samples() -> Tensor:
        return middles[labels] + _NOISE * torch.randn(len(labels), _INPUTS)

    for _ in range(_NETWORK_STEPS):
        optimizer.zero_grad()
        value = loss(network(samples()), labels)
        if value.requires_grad:
            value.backward()
        optimizer.step()
    with torch.no_grad():
        return _as_descent(loss, network(samples()), labels)


def _as_descent(loss: MetricLoss, points: Tensor, labels: Tensor) -> Descent:
    health = health_of(points, labels, torch.cdist(points, points))
    return Descent(points, health.overlap, health.spread, health.negative_distance, class_weights(loss))


def shown(loss: MetricLoss, points: Tensor, labels: Tensor) -> Tensor:
    """Return the points as the loss sees them: of length 1 where a change of their lengths changes nothing."""
    return torch.nn.functional.normalize(points) if is_scale_free(loss, labels) else points


def is_scale_free(loss: MetricLoss, labels: Tensor) -> bool:
    """Whether each point's length is nothing to the loss."""
    points = random_start()
    lengths = torch.linspace(0.5, 2.0, len(points))[:, None]
    was_training = loss.training
    loss.eval()
    with torch.no_grad():
        same = torch.allclose(loss(points, labels), loss(points * lengths, labels), rtol=1e-4, atol=1e-6)
    loss.train(was_training)
    return same


def class_weights(loss: MetricLoss) -> Tensor:
    """Return (n, 2) of length 1: the directions that stand for classes; none for most losses."""
    found = [p.detach().reshape(-1, 2) for p in loss.parameters() if p.ndim >= 2 and p.shape[-1] == 2]
    return torch.nn.functional.normalize(torch.cat(found)) if found else torch.zeros(0, 2)
