"""Rows scaled to unit length."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold


def unit_rows(rows: Tensor) -> Tensor:
    """Return x_i / |x_i|; a zero row stays zero and gets a zero gradient.

    Args:
        rows: (..., D), float32 or float64.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    result: Tensor = _UnitRows.apply(rows)
    return result


def scaled_to_one(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit rows (..., D) and what they were divided by (..., 1), infinity for a zero row; no autograd."""
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    # Divided by infinity, a zero row is 0 and its gradient too; `normalize` would give it one of 1e12.
    length = threshold(length, 0, torch.inf)
    return rows / length, length


def gradient_through_scaling(gradient: Tensor, unit: Tensor, length: Tensor) -> Tensor:
    """Return the gradient for rows, from that for their unit rows and what `scaled_to_one` found."""
    along = torch.linalg.vecdot(gradient, unit).unsqueeze(-1)
    return torch.addcmul(gradient, unit, along, value=-1).div_(length)


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        unit, length = scaled_to_one(rows)
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient_through_scaling(gradient, *ctx.saved_tensors)
