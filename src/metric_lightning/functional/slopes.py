"""Row sums whose gradient is known: found together with the value, it need not be found again in the backward pass.

N anchors, M references.
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only


def with_slopes(totals: Tensor, slopes: Tensor, distances: Tensor) -> Tensor:
    """Return `totals` (N,), a function of `distances` (N, M) with d totals_i / d distances_ij = slopes_ij.

    Args:
        totals: (N,), without a gradient of their own.
        slopes: (N, M), which must not be changed afterwards.
        distances: (N, M), or whatever else it is that the totals depend on.

    Example:
        >>> distances = torch.tensor([[3.0, 4.0]], requires_grad=True)
        >>> squares = with_slopes(distances.detach().square().sum(dim=1), 2 * distances.detach(), distances)
        >>> squares.backward()
        >>> squares, distances.grad
        (tensor([25.], grad_fn=<_WithSlopesBackward>), tensor([[6., 8.]]))
    """
    result: Tensor = _WithSlopes.apply(totals, slopes, distances)
    return result


class _WithSlopes(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, totals: Tensor, slopes: Tensor, distances: Tensor) -> Tensor:
        ctx.save_for_backward(slopes)
        return totals.view_as(totals)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return None, None, slopes * gradient[:, None]
