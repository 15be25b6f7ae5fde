"""Rows scaled to unit length, whatever their length was."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold

from metric_lightning.functional.first_order import first_order_only


def unit_rows(rows: Tensor) -> Tensor:
    """Return x_i / |x_i|; a zero row stays zero and gets a zero gradient.

    Right for rows of any finite length: squares neither overflow nor vanish. `torch.nn.functional.normalize` gives NaN
    for a zero row in half precision and a gradient of 1e12 in single.

    Args:
        rows: (..., D) of any floating type.

    Returns:
        (..., D), in single precision where `rows` has less.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    result: Tensor = _UnitRows.apply(rows.to(torch.promote_types(rows.dtype, torch.float32)))
    return result


def scaled_to_one(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the unit rows (..., D) and what they were divided by (..., 1), infinity for a zero row; no autograd."""
    # Divided by its largest component first, no row is too long or too short to be squared. Divided by infinity, a zero
    # row is 0 and its gradient too; `normalize` would give it one of 1e12.
    largest = threshold(rows.abs().amax(dim=-1, keepdim=True), 0, torch.inf)
    unit = rows / largest
    length = threshold(torch.linalg.vector_norm(unit, dim=-1, keepdim=True), 0, torch.inf)
    return unit.div_(length), length.mul_(largest)


def gradient_through_scaling(gradient: Tensor, unit: Tensor, length: Tensor) -> Tensor:
    """Return the gradient for rows, from that for their unit rows and what `scaled_to_one` found."""
    along = (gradient * unit).sum(-1, keepdim=True)  # not a product that autocast would round
    return torch.addcmul(gradient, unit, along, value=-1).div_(length)


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        unit, length = scaled_to_one(rows)
        ctx.save_for_backward(unit, length)
        return unit

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient_through_scaling(gradient, *ctx.saved_tensors)
