"""Distances between N rows and M columns, each by one matrix product where there is one; smaller is closer.

x: (N, D), y: (M, D), result: (N, M). Zero distances have zero, finite gradients. Under autocast they are float32.
How they are computed, and their derivatives: `functional.distance_derivatives`.
"""

import torch
from torch import Tensor

from metric_lightning.functional.distance_derivatives import (
    Cosine,
    DotProduct,
    Euclidean,
    SignalToNoise,
    SquaredEuclidean,
)
from metric_lightning.functional.precision import without_autocast
from metric_lightning.functional.weighted_l1 import weighted_l1_distances


@without_autocast
def squared_euclidean_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|^2.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> squared_euclidean_distances(x, y).round(decimals=3)
        tensor([[25.,  0.]])
    """
    result: Tensor = SquaredEuclidean.apply(x, y)
    return result


@without_autocast
def euclidean_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|, with gradient 0 where it is 0.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> euclidean_distances(x, y).round(decimals=3)
        tensor([[5., 0.]])
    """
    result: Tensor = Euclidean.apply(x, y)
    return result


@without_autocast
def cosine_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return 1 - cos(x_i, y_j); a zero vector has cosine 0 with everything.

    Example:
        >>> cosine_distances(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]]))
        tensor([[0., 1., 1.]])
    """
    result: Tensor = Cosine.apply(x, y)
    return result


@without_autocast
def dot_product_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return -<x_i, y_j>.

    Example:
        >>> dot_product_distances(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
        tensor([[-11.]])
    """
    result: Tensor = DotProduct.apply(x, y)
    return result


@without_autocast
def lp_distances(x: Tensor, y: Tensor, p: float) -> Tensor:
    """Return (sum_d |x_id - y_jd|^p)^(1/p); no matrix product, so O(N M D) elementwise work, least of it for p = 1.

    Example:
        >>> lp_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]), p=1.0)
        tensor([[7.]])
    """
    return weighted_l1_distances(x, y, x.new_ones(x.shape[1])) if p == 1 else torch.cdist(x, y, p=p)


@without_autocast
def signal_to_noise_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return var(x_i - y_j) / var(x_i), variances over the D components (Yuan et al. 2019).

    An anchor without variance carries no signal: its distance to everything is 0.

    Example:
        >>> x, y = torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, -1.0], [2.0, -2.0]])
        >>> signal_to_noise_distances(x, y).round(decimals=3)
        tensor([[0., 1.]])
    """
    x = x - x.mean(dim=1, keepdim=True)
    y = y - y.mean(dim=1, keepdim=True)
    result: Tensor = SignalToNoise.apply(x, y)
    return result


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root with gradient 0, not infinity, at 0."""
    zero = squared == 0
    return squared.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)
