"""Rows scaled to unit length."""

from typing import Any

import torch
from torch import Tensor


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


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
        # Divided by infinity, a zero row is 0 and its gradient too; `normalize` would give it one of 1e12.
        length.masked_fill_(length == 0, torch.inf)
        unit = rows / length
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        unit, length = ctx.saved_tensors
        along = torch.linalg.vecdot(gradient, unit).unsqueeze(-1)
        return torch.addcmul(gradient, unit, along, value=-1).div_(length)
