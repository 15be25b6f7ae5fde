"""Distances as the loss sees them."""

import re

import torch
from torch import Tensor, nn

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.losses.base import MetricLoss, PairwiseLoss

_PROPER = ("Euclidean", "L1", "Lp")


def pairwise_part(loss: nn.Module) -> PairwiseLoss | None:
    """Return the loss on distances that a loss is or wraps, the first of several; None: it sees no distances."""
    return next((part for part in loss.modules() if isinstance(part, PairwiseLoss)), None)


def loss_distances(loss: MetricLoss, x: Tensor, y: Tensor) -> Tensor:
    """Return the (n, m) distances of x (n, D) and y (m, D): the loss's own, Euclidean where it has none."""
    part = pairwise_part(loss)
    with torch.no_grad():
        if part is None:
            return euclidean_distances(x, y)
        # A distance that learns is where the training is.
        device = next((parameter.device for parameter in part.distance.parameters()), x.device)
        distances: Tensor = part.distance(x.to(device), y.to(device))
        return distances.to(x.device)


def sees_origin(loss: MetricLoss, dimensions: int) -> bool:
    """Whether a loss tells embeddings from the same ones moved all together: angles, dot products, class weights."""
    if pairwise_part(loss) is None:
        return True
    random = torch.Generator().manual_seed(0)
    x, move = torch.randn(4, dimensions, generator=random), torch.randn(1, dimensions, generator=random)
    return not torch.allclose(loss_distances(loss, x, x), loss_distances(loss, x + move, x + move), atol=1e-3)


def distance_name(loss: MetricLoss) -> str:
    """Return what kind of distance it is, to be written on an axis: "squared Euclidean", by its class's name."""
    part = pairwise_part(loss)
    if part is None:
        return "Euclidean"
    words = re.findall("[A-Z][a-z0-9]*", type(part.distance).__name__.removesuffix("Distance"))
    return " ".join(word if word in _PROPER else word.lower() for word in words) or type(part.distance).__name__


def distance_scale(loss: MetricLoss) -> float | None:
    """Return the distance that a loss compares with: its margin, or 1; None for a loss that sees no distances."""
    return None if pairwise_part(loss) is None else margin_of(loss) or 1.0


def margin_of(loss: MetricLoss) -> float | None:
    """Return the margin that a loss wants between distances; None for a loss without one, or without distances."""
    margin = getattr(pairwise_part(loss), "margin", None)
    return float(margin) if isinstance(margin, int | float) and margin > 0 else None
