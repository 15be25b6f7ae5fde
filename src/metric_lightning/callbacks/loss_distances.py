"""Distances as the loss sees them."""

import math
import re
from copy import deepcopy

import torch
from torch import Tensor

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.functional.pairs import pairs_from_labels
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


def collapsed_cost(loss: MetricLoss) -> float | None:
    """Return what the loss costs where all embeddings are one point: a hinge on triplets its margin, a soft one log 2.

    None where that depends on the batch, is nothing, or the loss sees no distances, or not those of a small batch.
    """
    if not isinstance(loss, PairwiseLoss) or type(loss).block_terms is not PairwiseLoss.block_terms:
        return None
    try:
        # A copy, and random numbers of its own: no state of the run changes, no miner of it draws.
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            costs = [_cost_of_a_point(deepcopy(loss).eval(), classes, each) for classes, each in ((2, 2), (3, 4))]
    except Exception:  # a loss of one's own may want batches of its own: a line in a picture shall stop no training
        return None
    return costs[0] if costs[0] > 0 and math.isclose(*costs, rel_tol=1e-4) else None


def _cost_of_a_point(loss: PairwiseLoss, classes: int, each: int) -> float:
    device = next((parameter.device for parameter in loss.parameters()), None)
    labels = torch.arange(classes, device=device).repeat_interleave(each)
    pairs = pairs_from_labels(labels, labels, torch.arange(len(labels), device=device))
    terms = loss.anchor_terms(torch.zeros(len(labels), len(labels), device=device), pairs)
    return sum(float(term.total.sum() / term.count.sum()) for term in terms.values())


def margin_of(loss: MetricLoss) -> float | None:
    """Return the margin that a loss wants between distances; None for a loss without one, or without distances."""
    margin = getattr(loss, "margin", None) if isinstance(loss, PairwiseLoss) else None
    return float(margin) if isinstance(margin, int | float) and margin > 0 else None
