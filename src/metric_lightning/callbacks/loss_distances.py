"""Distances as the loss sees them."""

import re

import torch
from torch import Tensor

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.losses.base import MetricLoss, PairwiseLoss

_PROPER = ("Euclidean", "L1", "Lp")


def loss_distances(loss: MetricLoss, x: Tensor, y: Tensor) -> Tensor:
    """Return the (n, m) distances of x (n, D) and y (m, D): the loss's own, Euclidean where it has none."""
    with torch.no_grad():
        return loss.distance(x, y) if isinstance(loss, PairwiseLoss) else euclidean_distances(x, y)


def distance_name(loss: MetricLoss) -> str:
    """Return what kind of distance it is, to be written on an axis: "squared Euclidean", by its class's name."""
    if not isinstance(loss, PairwiseLoss):
        return "Euclidean"
    words = re.findall("[A-Z][a-z0-9]*", type(loss.distance).__name__.removesuffix("Distance"))
    return " ".join(word if word in _PROPER else word.lower() for word in words) or type(loss.distance).__name__


def distance_scale(loss: MetricLoss) -> float | None:
    """Return the distance that a loss compares with: its margin, or 1; None for a loss that sees no distances."""
    return margin_of(loss) or 1.0 if isinstance(loss, PairwiseLoss) else None


def margin_of(loss: MetricLoss) -> float | None:
    """Return the margin that a loss wants between distances; None for a loss without one, or without distances."""
    margin = getattr(loss, "margin", None) if isinstance(loss, PairwiseLoss) else None
    return float(margin) if isinstance(margin, int | float) and margin > 0 else None
