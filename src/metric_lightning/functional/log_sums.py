"""Logarithms of sums of exponentials over the masked columns of a row, which never overflow and always have a gradient.

values (N, M); mask (N, M) bool; P is the largest number of positives of an anchor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from metric_lightning.functional.pairs import positive_slots
from metric_lightning.types import Pairs

_SMALL = 2**13  # elements up to which a pass over all columns is cheaper than finding the positives


def masked_logsumexp(values: Tensor, mask: Tensor, scale: float = 1.0) -> Tensor:
    """Return log sum_{j in mask} exp(scale values_j) of each row (N,); an empty row has -inf, with zero gradient.

    Example:
        >>> masked_logsumexp(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[True, True, False]]))
        tensor([0.6931])
    """
    result: Tensor = _MaskedLogSumExp.apply(values, mask, scale)
    return result


def log_one_plus_exp(values: Tensor) -> Tensor:
    """Return log(1 + exp(v)) elementwise, exact in float64 too; 0, with zero gradient, at -inf.

    Example:
        >>> log_one_plus_exp(torch.tensor([-torch.inf, 0.0, 1e4]))
        tensor([0.0000e+00, 6.9315e-01, 1.0000e+04])
    """
    return softplus(values, threshold=50.0)


def positive_values(values: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Gather each anchor's values at its positives (N, P), with the mask of the slots that are filled (N, P).

    Example:
        >>> positive_values(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[True, False, True]]))
        (tensor([[1., 3.]]), tensor([[True, True]]))
    """
    columns, filled = positive_slots(positive)
    return values.gather(1, columns), filled


def positive_logsumexp(values: Tensor, positive: Tensor, scale: float = 1.0) -> Tensor:
    """Return `masked_logsumexp` over the positives, cheaper where each anchor has few.

    Example:
        >>> positive_logsumexp(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[True, True, False]]))
        tensor([0.6931])
    """
    if values.numel() <= _SMALL:
        return masked_logsumexp(values, positive, scale)
    return masked_logsumexp(*positive_values(values, positive), scale)


def tuplet_costs(
    similarities: Tensor, pairs: Pairs, scale: float, transform: Callable[[Tensor], Tensor] | None = None
) -> tuple[Tensor, Tensor]:
    """Return log(1 + sum_n exp(scale [s_n - f(s_p)])) for each positive pair, n over all the anchor's negatives.

    Args:
        similarities: (N, M).
        pairs: masks (N, M).
        scale: inverse temperature.
        transform: f, elementwise; None: the identity.

    Returns:
        The costs (N, P), and which of them count (N, P): positive pairs of anchors that have a negative.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
        >>> tuplet_costs(torch.tensor([[2.0, 2.0]]), pairs, scale=1.0)
        (tensor([[0.6931]]), tensor([[True]]))
    """
    chosen, filled = positive_values(similarities, pairs.positive)
    chosen = chosen if transform is None else transform(chosen)
    others = masked_logsumexp(similarities, pairs.negative, scale)[:, None]
    # Where there is no negative the difference is -inf, and so the cost 0.
    costs = log_one_plus_exp((others - scale * chosen).masked_fill(~filled, -torch.inf))
    return costs, filled & (others > -torch.inf)


class _MaskedLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor, scale: float) -> Tensor:
        if values.shape[1] == 0:
            ctx.save_for_backward(torch.zeros_like(values))
            return values.new_full((len(values),), -torch.inf)
        shares = values.masked_fill(~mask, -torch.inf if scale > 0 else torch.inf)
        largest = torch.finfo(values.dtype).max
        top = shares.amax(dim=1, keepdim=True) if scale > 0 else shares.amin(dim=1, keepdim=True)
        shares.sub_(top.clamp_(-largest, largest))
        if scale != 1.0:
            shares.mul_(scale)
        # The largest adds exp(0): a sum is 0, of nothing, or at least 1.
        sums = shares.exp_().sum(dim=1, keepdim=True)
        shares.mul_(scale / sums.clamp_min(1))
        ctx.save_for_backward(shares)
        return (sums.log() + top * scale).squeeze(1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (shares,) = ctx.saved_tensors
        return shares * gradient[:, None], None, None
