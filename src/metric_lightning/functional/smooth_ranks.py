"""Average precision with smooth ranks (Brown et al. 2020).

N anchors, M columns, P the largest number of positives of an anchor; s (N, M) similarities, T temperature, and
S(x) = 1 / (1 + exp(-x / T)). The rank of a positive p among columns j is 1 + sum_{j != p} S(s_j - s_p).
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.pairs import positive_slots


def smooth_precision_sums(similarities: Tensor, positive: Tensor, valid: Tensor, temperature: float) -> Tensor:
    """Return the sum over an anchor's positives p of (p's rank among positives) / (p's rank among all valid) (N,).

    One pass over N x M for each slot of positives, with the gradient taken on the way, so that nothing of size
    N x P x M is ever held.

    Args:
        similarities: (N, M).
        positive: (N, M) bool.
        valid: (N, M) bool, positives and negatives.
        temperature: T.

    Example:
        >>> positive = torch.tensor([[True, False, True]])
        >>> smooth_precision_sums(torch.tensor([[0.9, 0.5, 0.1]]), positive, torch.ones_like(positive), 0.01)
        tensor([1.6667])
    """
    result: Tensor = _SmoothPrecisionSums.apply(similarities, positive, valid, temperature)
    return result


class _SmoothPrecisionSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, similarities: Tensor, positive: Tensor, valid: Tensor, temperature: float) -> Tensor:
        columns, filled = positive_slots(positive)
        scores = (similarities / temperature).masked_fill_(~valid, -torch.inf)
        chosen = scores.gather(1, columns).masked_fill_(~filled, -torch.inf)
        sums = scores.new_zeros(len(scores))
        slopes, slot_slopes = torch.zeros_like(scores), torch.zeros_like(chosen)
        above = torch.empty_like(scores)
        for slot in range(columns.shape[1]):
            own = chosen[:, slot : slot + 1].masked_fill(~filled[:, slot : slot + 1], torch.inf)
            torch.sub(scores, own, out=above).sigmoid_()
            beside = (chosen - own).sigmoid_()
            # S(0) = 1/2 of the positive with itself stands for half of its own 1.
            rank = above.sum(dim=1, keepdim=True) + 0.5
            place = beside.sum(dim=1, keepdim=True) + 0.5
            weight = filled[:, slot : slot + 1] / rank
            sums += (weight * place).squeeze(1)
            fall = (place * weight / rank).neg_()
            torch.ops.aten.sigmoid_backward(fall.expand_as(above), above, grad_input=above)
            beside = torch.ops.aten.sigmoid_backward(weight.expand_as(beside), beside)
            slopes += above
            slot_slopes += beside
            slot_slopes[:, slot] -= above.sum(dim=1) + beside.sum(dim=1)
        ctx.save_for_backward(slopes.scatter_add_(1, columns, slot_slopes).div_(temperature))
        return sums

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return slopes * gradient[:, None], None, None, None
