"""Distances as the loss sees them."""

import torch
from torch import Tensor

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.losses.base import MetricLoss, PairwiseLoss


def loss_distances(loss: MetricLoss, x: Tensor, y: Tensor) -> Tensor:
    """Return the (n, m) distances of x (n, D) and y (m, D): the loss's own, Euclidean where it has none."""
    with torch.no_grad():
        return loss.distance(x, y) if isinstance(loss, PairwiseLoss) else euclidean_distances(x, y)


def distance_name(loss: MetricLoss) -> str:
    """Return the class of the distance, to be written on an axis."""
    return type(loss.distance).__name__ if isinstance(loss, PairwiseLoss) else "EuclideanDistance"


def distance_scale(loss: MetricLoss) -> float | None:
    """Return the distance that a loss compares with: its margin, or 1; None for a loss that sees no distances."""
    if not isinstance(loss, PairwiseLoss):
        return None
    margin = getattr(loss, "margin", None)
    return float(margin) if isinstance(margin, int | float) and margin > 0 else 1.0
