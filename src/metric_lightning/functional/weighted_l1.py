"""Weighted city-block distances whose weights are learned, any sign, in bounded memory.

x: (N, D), y: (M, D), w: (D,), result: (N, M).
"""

from typing import Any

import torch
from torch import Tensor

_CHUNK_ELEMENTS = 2**20  # differences held at a time: 4 MiB in float32, near the cache


def weighted_l1_distances(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """Return sum_d w_d |x_id - y_jd|; where two components are equal, their gradient is 0.

    No matrix product does it, so O(N M D) elementwise work; memory is O(N M) beside what it is given.

    Args:
        x: (N, D).
        y: (M, D).
        weight: (D,), of any sign.

    Raises:
        ValueError: shapes that don't go together.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, -4.0]])
        >>> weighted_l1_distances(x, y, torch.tensor([1.0, 0.5]))
        tensor([[5.]])
    """
    if not x.shape[1:] == y.shape[1:] == weight.shape:
        raise ValueError(f"x {tuple(x.shape)}, y {tuple(y.shape)}, weight {tuple(weight.shape)}: (N, D), (M, D), (D,)")
    result: Tensor = _WeightedL1.apply(x, y, weight)
    return result


class _WeightedL1(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, y, weight)
        # sum w |x - y| = sum over w > 0 of |w x - w y|, minus the same over w < 0: two city-block distances.
        parts = []
        for sign in (1.0, -1.0):
            chosen = weight * sign > 0
            size = weight[chosen].abs()
            parts.append(torch.cdist(x[:, chosen] * size, y[:, chosen] * size, p=1.0))
        return parts[0] - parts[1]

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        x, y, weight = ctx.saved_tensors
        to_x, to_y, to_weight = torch.zeros_like(x), torch.zeros_like(y), torch.zeros_like(weight)
        rows = max(1, _CHUNK_ELEMENTS // max(1, y.numel()))
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            differences = x[part, None] - y  # (rows, M, D)
            slopes = gradient[part]
            to_weight += slopes.flatten() @ differences.abs().flatten(0, 1)
            signs = differences.sign_()
            to_x[part] = torch.einsum("nm,nmd->nd", slopes, signs)
            to_y -= torch.einsum("nm,nmd->md", slopes, signs)
        return to_x * weight, to_y * weight, to_weight
