"""Hinges over the masked columns of a row.

excess (N, M): by how much a pair violates its bound, negative where it doesn't; mask (N, M) bool: the pairs that count.
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only


def hinge_sums(excess: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Return sum_{j in mask} max(0, e_j) of each row (N,), and how many of them are above 0 (N,).

    Example:
        >>> hinge_sums(torch.tensor([[2.0, -1.0, 0.5, 3.0]]), torch.tensor([[True, True, True, False]]))
        (tensor([2.5000]), tensor([2.]))
    """
    result: tuple[Tensor, Tensor] = _HingeSums.apply(excess, mask)
    return result


def squared_hinge_sums(excess: Tensor, mask: Tensor) -> Tensor:
    """Return sum_{j in mask} max(0, e_j)^2 of each row (N,).

    Example:
        >>> squared_hinge_sums(torch.tensor([[2.0, -1.0, 0.5, 3.0]]), torch.tensor([[True, True, True, False]]))
        tensor([4.2500])
    """
    result: Tensor = _SquaredHingeSums.apply(excess, mask)
    return result


def weighted_hinge_means(excess: Tensor, mask: Tensor, temperature: float, constant_weights: bool) -> Tensor:
    """Return sum_j w_j e_j / sum_j w_j of each row (N,), w_j = exp(T e_j), over j in mask with e_j > 0; 0 of none.

    Args:
        excess: (N, M).
        mask: (N, M) bool.
        temperature: T, >= 0; 0: the plain mean.
        constant_weights: whether the weights are constants to the gradient.

    Example:
        >>> weighted_hinge_means(torch.tensor([[2.0, -1.0, 1.0]]), torch.tensor([[True, True, True]]), 0.0, True)
        tensor([1.5000])
    """
    result: Tensor = _WeightedHingeMeans.apply(excess, mask, temperature, constant_weights)
    return result


class _HingeSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor, mask: Tensor) -> Any:
        active = excess.masked_fill(~mask, 0).clamp_min_(0)
        sums = active.sum(dim=1)
        number = active.sign_().sum(dim=1)
        ctx.save_for_backward(active)
        ctx.mark_non_differentiable(number)
        return sums, number

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> Any:
        (active,) = ctx.saved_tensors
        return active * gradient[:, None], None


class _SquaredHingeSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor, mask: Tensor) -> Tensor:
        active = excess.masked_fill(~mask, 0).clamp_min_(0)
        ctx.save_for_backward(active)
        return torch.linalg.vecdot(active, active)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (active,) = ctx.saved_tensors
        return active * (2 * gradient[:, None]), None


class _WeightedHingeMeans(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, excess: Tensor, mask: Tensor, temperature: float, constant_weights: bool) -> Tensor:
        active = excess.masked_fill(~mask, 0).clamp_min_(0)
        if excess.shape[1] == 0:
            ctx.save_for_backward(active)
            return excess.new_zeros(len(excess))
        # exp(T [e - largest e]), then 0 where e is 0: sign does that without another mask.
        weights = (active - active.amax(dim=1, keepdim=True)).mul_(temperature).exp_().mul_(active.sign())
        sums = weights.sum(dim=1, keepdim=True)
        weights.div_(sums.masked_fill(sums == 0, 1))
        means = torch.linalg.vecdot(weights, active)
        if not constant_weights:
            weights.mul_((active - means[:, None]).mul_(temperature).add_(1))
        ctx.save_for_backward(weights)
        return means

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (weights,) = ctx.saved_tensors
        return weights * gradient[:, None], None, None, None
