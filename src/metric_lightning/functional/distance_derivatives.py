"""Distances (N, M) as autograd functions: each keeps little for its backward pass, and none of them lists N x M x D.

The expansion |x|^2 + |y|^2 - 2xy loses digits where x and y are close beside their norms. Two remedies: the mean of y
is taken from both first (a common offset then costs nothing), and what is below the rounding noise of the product,
`_NOISE` units in the last place of |x|^2 + |y|^2, counts as zero, so that equal vectors are at distance 0. Where it
is that small, |x| and |y| are nearly the same.

Where y is x itself, what both need is computed once, and one gradient holds both shares.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold

from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.unit_rows import gradient_through_scaling, scaled_to_one

_NOISE = 8.0


def tiny(x: Tensor) -> float:
    """Return a norm below which a vector of this precision counts as zero."""
    return float(torch.finfo(x.dtype).tiny) ** 0.5


class SquaredEuclidean(torch.autograd.Function):
    """|x_i - y_j|^2."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.one = y is x
        x, y = _centred(x, y)
        ctx.save_for_backward(x, y)
        return _squares(x, y)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y = ctx.saved_tensors
        if ctx.one:
            return _pull_one(2 * gradient, x), None
        return _pull(2 * gradient, x, y, ctx.needs_input_grad)


class Euclidean(torch.autograd.Function):
    """|x_i - y_j|, with gradient 0 where it is 0."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.one = y is x
        x, y = _centred(x, y)
        distances = _squares(x, y).sqrt_()
        ctx.save_for_backward(x, y, distances)
        return distances

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y, distances = ctx.saved_tensors
        # Where the distance is 0, infinity stands in for it, and the gradient is 0.
        weights = threshold(distances, 0, torch.inf)
        torch.div(gradient, weights, out=weights)
        if ctx.one:
            return _pull_one(weights, x), None
        return _pull(weights, x, y, ctx.needs_input_grad)


class Cosine(torch.autograd.Function):
    """1 - cos(x_i, y_j)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.one = y is x
        rows = scaled_to_one(x)
        columns = rows if y is x else scaled_to_one(y)
        ctx.save_for_backward(*rows, *columns)
        return torch.addmm(x.new_ones(1, 1), rows[0], columns[0].T, alpha=-1)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, x_length, y, y_length = ctx.saved_tensors
        to_x, to_y = _push(gradient, x, y, ctx.one, ctx.needs_input_grad)
        return (
            None if to_x is None else gradient_through_scaling(to_x, x, x_length),
            None if to_y is None else gradient_through_scaling(to_y, y, y_length),
        )


class DotProduct(torch.autograd.Function):
    """-<x_i, y_j>."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        ctx.one = y is x
        ctx.save_for_backward(x, y)
        return torch.addmm(x.new_zeros(1, 1), x, y.T, beta=0, alpha=-1)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y = ctx.saved_tensors
        return _push(gradient, x, y, ctx.one, ctx.needs_input_grad)


class SignalToNoise(torch.autograd.Function):
    """|x - y|^2 / |x|^2 of rows without a mean."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor) -> Tensor:
        signal = x.square().sum(dim=1, keepdim=True)
        inverse = signal.masked_fill_(signal <= tiny(x), torch.inf).reciprocal_()
        distances = _squares(*_centred(x, y)).mul_(inverse)
        ctx.save_for_backward(x, y, inverse, distances)
        return distances

    @staticmethod
    @first_order_only
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
    centred = y - centre
    return centred if y is x else x - centre, centred


def _squares(x: Tensor, y: Tensor) -> Tensor:
    y_squared = torch.linalg.vecdot(y, y)
    x_squared = y_squared if y is x else torch.linalg.vecdot(x, x)
    squares = (x_squared[:, None] + y_squared).addmm_(x, y.T, alpha=-2)
    noise = x_squared * (2 * _NOISE * torch.finfo(x.dtype).eps)
    return squares.masked_fill_(squares <= noise[:, None], 0)


def _push(
    weights: Tensor, x: Tensor, y: Tensor, one: bool, needed: Sequence[bool]
) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients, for x and y, of -sum_ij weights_ij <x_i, y_j>; of x for both where they are one."""
    to_x = torch.addmm(x, weights, y, beta=0, alpha=-1) if needed[0] else None
    if one and to_x is not None:
        return to_x.addmm_(weights.T, x, alpha=-1), None
    return to_x, torch.addmm(y, weights.T, x, beta=0, alpha=-1) if needed[1] else None


def _pull(weights: Tensor, x: Tensor, y: Tensor, needed: Sequence[bool]) -> tuple[Tensor | None, Tensor | None]:
    """Return the gradients, for x and y, of sum_ij weights_ij |x_i - y_j|^2 / 2."""
    to_x = torch.addmm(weights.sum(dim=1, keepdim=True) * x, weights, y, alpha=-1) if needed[0] else None
    to_y = torch.addmm(weights.sum(dim=0)[:, None] * y, weights.T, x, alpha=-1) if needed[1] else None
    return to_x, to_y


def _pull_one(weights: Tensor, x: Tensor) -> Tensor:
    """Return the gradient for x of sum_ij weights_ij |x_i - x_j|^2 / 2."""
    sums = weights.sum(dim=1).add_(weights.sum(dim=0))
    return torch.addmm(sums[:, None] * x, weights, x, alpha=-1).addmm_(weights.T, x, alpha=-1)
