"""Distances as the loss sees them."""

import math
import re
from copy import deepcopy

import torch
from torch import Tensor, nn

from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.functional.pairs import pairs_from_labels
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
    margin = getattr(pairwise_part(loss), "margin", None)
    return float(margin) if isinstance(margin, int | float) and margin > 0 else None
