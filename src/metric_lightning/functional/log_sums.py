"""Logarithms of sums of exponentials over the masked columns of a row, which never overflow and always have a gradient.

values (N, M); mask (N, M) bool; P is the largest number of positives of an anchor.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from metric_lightning.functional.cached_rows import cached_rows
from metric_lightning.functional.first_order import first_order_only
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

    Of a small matrix all columns are slots, as it is cheaper to pass over them than to find the positives.

    Example:
        >>> positive_values(torch.tensor([[1.0, 2.0, 3.0]]), torch.tensor([[True, False, True]]))
        (tensor([[1., 2., 3.]]), tensor([[ True, False,  True]]))
    """
    if values.numel() <= _SMALL:
        return values, positive
    columns, filled = positive_slots(positive)
    return values.gather(1, columns), filled


def positive_logsumexp(values: Tensor, positive: Tensor, scale: float = 1.0) -> Tensor:
    """Return `masked_logsumexp` over the positives, cheaper where each anchor has few.

    Example:
        >>> positive_logsumexp(torch.tensor([[0.0, 0.0, 5.0]]), torch.tensor([[True, True, False]]))
        tensor([0.6931])
    """
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
        The costs (N, P), and which of them count (N, P): positive pairs of anchors that have a negative. Slots as in
        `positive_values`.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
        >>> tuplet_costs(torch.tensor([[2.0, 2.0]]), pairs, scale=1.0)
        (tensor([[0.6931, 0.0000]]), tensor([[ True, False]]))
    """
    few = similarities.numel() <= _SMALL
    columns, filled = (None, pairs.positive) if few else positive_slots(pairs.positive)
    result: tuple[Tensor, Tensor] = _TupletCosts.apply(similarities, columns, filled, pairs.negative, scale, transform)
    return result


class _MaskedLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor, scale: float) -> Tensor:
        sums, slopes = _sums_and_slopes(values, mask, scale)
        ctx.save_for_backward(slopes)
        return sums.squeeze(1)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return slopes * gradient[:, None], None, None


class _TupletCosts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        similarities: Tensor,
        columns: Tensor | None,
        filled: Tensor,
        negative: Tensor,
        scale: float,
        transform: Callable[[Tensor], Tensor] | None,
    ) -> Any:
        chosen, bend = similarities if columns is None else similarities.gather(1, columns), None
        if transform is not None:
            with torch.inference_mode(False), torch.enable_grad():
                chosen = chosen.clone().requires_grad_()
                bent = transform(chosen)
                (bend,) = torch.autograd.grad(bent.sum(), chosen)
            chosen = bent.detach()
        others, slopes = _sums_and_slopes(similarities, negative, scale)
        # Where there is no negative the difference is -inf, and so the cost 0.
        differences = torch.sub(others, chosen, alpha=scale).masked_fill_(~filled, -torch.inf)
        counted = filled & (others > -torch.inf)
        ctx.save_for_backward(slopes, columns, differences, bend)
        ctx.scale = scale
        ctx.mark_non_differentiable(counted)
        return log_one_plus_exp(differences), counted

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> Any:
        slopes, columns, differences, bend = ctx.saved_tensors
        pulls = differences.sigmoid().mul_(gradient)
        to_values = slopes * pulls.sum(dim=1, keepdim=True)
        pulls.mul_(-ctx.scale)
        if bend is not None:
            pulls.mul_(bend)
        # Unfilled slots, which point at column 0, have a pull of 0.
        to_values = to_values.add_(pulls) if columns is None else to_values.scatter_add_(1, columns, pulls)
        return to_values, None, None, None, None, None


def _sums_and_slopes(values: Tensor, mask: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """Return log sum_{j in mask} exp(scale values_j) of each row (N, 1), and its derivative by the values (N, M)."""
    if values.shape[1] == 0:
        return values.new_full((len(values), 1), -torch.inf), torch.zeros_like(values)
    logarithms, slopes = values.new_empty(len(values), 1), torch.empty_like(values)
    largest = torch.finfo(values.dtype).max
    for rows in cached_rows(values):
        shares = slopes[rows].copy_(values[rows]).masked_fill_(~mask[rows], -torch.inf if scale > 0 else torch.inf)
        top = shares.amax(dim=1, keepdim=True) if scale > 0 else shares.amin(dim=1, keepdim=True)
        shares.sub_(top.clamp_(-largest, largest))
        if scale != 1.0:
            shares.mul_(scale)
        # The largest adds exp(0): a sum is 0, of nothing, or at least 1.
        sums = shares.exp_().sum(dim=1, keepdim=True)
        shares.mul_(scale / sums.clamp_min(1))
        logarithms[rows] = sums.log_().add_(top, alpha=scale)
    return logarithms, slopes
