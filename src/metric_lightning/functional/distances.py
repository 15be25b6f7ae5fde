"""Distances between N rows and M columns, each by one matrix product where there is one; smaller is closer.

x: (N, D), y: (M, D), result: (N, M). Zero distances have zero, finite gradients.

The expansion |x|^2 + |y|^2 - 2xy loses digits where x and y are close beside their norms. Two remedies: the mean of y
is taken from both first (a common offset then costs nothing), and what is below the rounding noise of the product,
`_NOISE` units in the last place of |x|^2 + |y|^2, counts as zero, so that equal vectors are at distance 0.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold

from metric_lightning.functional.unit_rows import unit_rows

_NOISE = 8.0


def squared_euclidean_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|^2.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> squared_euclidean_distances(x, y).round(decimals=3)
        tensor([[25.,  0.]])
    """
    result: Tensor = _SquaredEuclidean.apply(x, y)
    return result


def euclidean_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return |x_i - y_j|, with gradient 0 where it is 0.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0], [0.0, 0.0]])
        >>> euclidean_distances(x, y).round(decimals=3)
        tensor([[5., 0.]])
    """
    result: Tensor = _Euclidean.apply(x, y)
    return result


def cosine_distances(x: Tensor, y: Tensor) -> Tensor:
    """Return 1 - cos(x_i, y_j); a zero vector has cosine 0 with everything.

    Example:
        >>> cosine_distances(torch.tensor([[2.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 3.0], [0.0, 0.0]]))
        tensor([[0., 1., 1.]])
    """
    unit = unit_rows(x)
    return torch.addmm(x.new_ones(1, 1), unit, (unit if y is x else unit_rows(y)).T, alpha=-1)


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
        >>> x, y = torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, -1.0], [2.0, -2.0]])
        >>> signal_to_noise_distances(x, y).round(decimals=3)
        tensor([[0., 1.]])
    """
    x = x - x.mean(dim=1, keepdim=True)
    y = y - y.mean(dim=1, keepdim=True)
    result: Tensor = _SignalToNoise.apply(x, y)
    return result


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root with gradient 0, not infinity, at 0."""
    zero = squared == 0
    return squared.masked_fill(zero, 1.0).sqrt().masked_fill(zero, 0.0)


def tiny(x: Tensor) -> float:
    """Return a norm below which a vector of this precision counts as zero."""
    return float(torch.finfo(x.dtype).tiny) ** 0.5


class _SquaredEuclidean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        x, y = _centred(x, y)
        ctx.save_for_backward(x, y)
        return _squares(x, y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y = ctx.saved_tensors
        return _pull(2 * gradient, x, y, ctx.needs_input_grad)


class _Euclidean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        x, y = _centred(x, y)
        distances = _squares(x, y).sqrt_()
        ctx.save_for_backward(x, y, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y, distances = ctx.saved_tensors
        # Where the distance is 0, infinity stands in for it, and the gradient is 0.
        weights = threshold(distances, 0, torch.inf)
        return _pull(torch.div(gradient, weights, out=weights), x, y, ctx.needs_input_grad)


class _SignalToNoise(torch.autograd.Function):
    """|x - y|^2 / |x|^2 of rows without a mean."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        signal = x.square().sum(dim=1, keepdim=True)
        inverse = signal.masked_fill_(signal <= tiny(x), torch.inf).reciprocal_()
        distances = _squares(*_centred(x, y)).mul_(inverse)
        ctx.save_for_backward(x, y, inverse, distances)
        return distances

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y, inverse, distances = ctx.saved_tensors
        to_x, to_y = _pull(gradient * (2 * inverse), *_centred(x, y), ctx.needs_input_grad)
        if to_x is not None:
            along = torch.linalg.vecdot(gradient, distances)[:, None]
            to_x.addcmul_(x, along * inverse, value=-2)
        return to_x, to_y


def _centred(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    if not len(y):
        return x, y
    centre = y.mean(dim=0)
    return x - centre, y - centre


def _squares(x: Tensor, y: Tensor) -> Tensor:
    shrink = 1.0 - _NOISE * torch.finfo(x.dtype).eps
    x_squared = x.square().sum(dim=1, keepdim=True).mul_(shrink)
    y_squared = y.square().sum(dim=1).mul_(shrink)
    return (x_squared + y_squared).addmm_(x, y.T, alpha=-2).clamp_min_(0)


def _pull(weights: Tensor, x: Tensor, y: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients, for x and y, of sum_ij weights_ij |x_i - y_j|^2 / 2."""
    to_x = torch.addmm(weights.sum(dim=1, keepdim=True) * x, weights, y, alpha=-1) if needed[0] else None
    to_y = torch.addmm(weights.sum(dim=0)[:, None] * y, weights.T, x, alpha=-1) if needed[1] else None
    return to_x, to_y
