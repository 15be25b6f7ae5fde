"""Cross-entropy over the scores of classes, where an anchor's own class may be scored differently.

N anchors, C classes.
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only


def own_scores(scores: Tensor, labels: Tensor) -> Tensor:
    """Return each anchor's score of its own class (N,), from scores (N, C) and labels (N,)."""
    return scores.gather(1, labels[:, None]).squeeze(1)


def class_costs(
    scores: Tensor, labels: Tensor, own: Tensor | None = None, scale: float = 1.0, margin: float = 0.0
) -> Tensor:
    """Return -log softmax(scale x)[label] (N,), x being `scores` with `own` in place of each anchor's own class's.

    One pass over N x C forwards and one backwards, without one-hot matrices.

    Args:
        scores: (N, C).
        labels: (N,) int64, 0..C-1.
        own: (N,); None: the scores as they are.
        scale: the inverse of a temperature.
        margin: taken off x[label].

    Example:
        >>> class_costs(torch.zeros(1, 2), torch.tensor([0]))
        tensor([0.6931])
        >>> class_costs(torch.zeros(1, 2), torch.tensor([0]), own=torch.tensor([-1.0]), scale=2.0)  # log(1 + e^2)
        tensor([2.1269])
    """
    result: Tensor = _ClassCosts.apply(scores, own, labels, scale, margin)
    return result


class _ClassCosts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, own: Tensor | None, labels: Tensor, scale: float, margin: float) -> Tensor:
        column = labels[:, None]
        scaled = scores * scale
        if own is not None:
            scaled.scatter_(1, column, own[:, None] * scale)
        if margin:
            scaled.scatter_(1, column, -margin * scale, reduce="add")
        logarithms = scaled.log_softmax(dim=1)
        ctx.save_for_backward(logarithms, column)
        ctx.scale, ctx.replaced = scale, own is not None
        return logarithms.gather(1, column).squeeze(1).neg_()

    @staticmethod
    @first_order_only
    def backward(ctx: Any, costs: Tensor) -> Any:
        logarithms, column = ctx.saved_tensors
        weight = (costs * ctx.scale)[:, None]
        slopes = logarithms.exp().mul_(weight)
        slopes.scatter_add_(1, column, -weight)
        if not ctx.replaced:
            return slopes, None, None, None, None
        own = slopes.gather(1, column).squeeze(1)
        return slopes.scatter_(1, column, 0), own, None, None, None
