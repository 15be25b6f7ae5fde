"""Distances between N rows and M columns, each by one matrix product where there is one; smaller is closer.

x: (N, D), y: (M, D), result: (N, M). Zero distances have zero, finite gradients.

The expansion |x|^2 + |y|^2 - 2xy loses digits where x and y are close beside their norms. Two remedies: the mean of y is
taken from both first (a common offset then costs nothing), and what is below the rounding noise of the product,
`_NOISE` units in the last place of |x|^2 + |y|^2, counts as zero, so that equal vectors are at distance 0.
"""

import torch
from torch import Tensor

from metric_lightning.functional.unit_rows import unit_rows

_NOISE = 8.0


def squared_euclidean_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|^2.

    Example:
        >>> squared_euclidean_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[25.,  0.]])
    """
    if len(y):
        centre = y.detach().mean(dim=0)
        x, y = x - centre, y - centre
    shrink = 1.0 - _NOISE * torch.finfo(x.dtype).eps
    x_squared = x.square().sum(dim=1, keepdim=True) * shrink
    y_squared = y.square().sum(dim=1) * shrink
    return torch.addmm(x_squared + y_squared, x, y.T, alpha=-2).clamp_min(0)


def euclidean_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|, with gradient 0 where it is 0.

    Example:
        >>> euclidean_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[5., 0.]])
    """
    return safe_sqrt(squared_euclidean_distances(x, y))


def cosine_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return 1 - cos(x_i, y_j); a zero vector has cosine 0 with everything.

    Example:
        >>> cosine_distances(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]]))
        tensor([[0., 1., 1.]])
    """
    return torch.addmm(x.new_ones(1, 1), unit_rows(x), unit_rows(y).T, alpha=-1)


def dot_product_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return -<x_i, y_j>.

    Example:
        >>> dot_product_distances(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0]]))
        tensor([[-11.]])
    """
    return -(x @ y.T)


def lp_distances(x: Tensor, y: Tensor, p: float) -> Tensor:
    """Return (sum_d |x_id - y_jd|^p)^(1/p); no matrix product, so O(N M D) elementwise work.

    Example:
        >>> lp_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]), p=1.0)
        tensor([[7.]])
    """
    return torch.cdist(x, y, p=p)


def signal_to_noise_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return var(x_i - y_j) / var(x_i), variances over the D components (Yuan et al. 2019).

    An anchor without variance carries no signal: its distance to everything is 0.

    Example:
        >>> signal_to_noise_distances(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, -1.0], [2.0, -2.0]]))
        tensor([[0., 1.]])
    """
    x = x - x.mean(dim=1, keepdim=True)
    y = y - y.mean(dim=1, keepdim=True)
    signal = x.square().sum(dim=1, keepdim=True)
    silent = signal <= tiny(x)
    noise = squared_euclidean_distances(x, y)
    return (noise / signal.masked_fill(silent, 1.0)).masked_fill(silent, 0.0)


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root with gradient 0, not infinity, at 0."""
    zero = squared == 0
    return squared.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def tiny(x: Tensor) -> float:
    """Return a norm below which a vector of this precision counts as zero."""
    return float(torch.finfo(x.dtype).tiny) ** 0.5
