"""Which pairs are positive and which are negative. Rows are N anchors, columns M references."""

import torch
from torch import Tensor

from metric_lightning.types import Pairs


def pairs_from_labels(labels: Tensor, reference_labels: Tensor, own: Tensor | None = None) -> Pairs:
    """Pair equal labels as positive and different labels as negative.

    Args:
        labels: (N,) of any integer type; compared exactly.
        reference_labels: (M,).
        own: (N,) the column that is the anchor itself, in neither mask; None where there is none.

    Example:
        >>> pairs_from_labels(torch.tensor([0, 1]), torch.tensor([0, 1]), own=torch.arange(2)).positive
        tensor([[False, False],
                [False, False]])
    """
    same = labels[:, None] == reference_labels[None, :]
    other = ~same
    if own is not None:
        # Both masks are our own: no copies.
        same.scatter_(1, own[:, None], False)
        other.scatter_(1, own[:, None], False)
    return Pairs(same, other)


def pairs_from_relevance(relevant: Tensor, own: Tensor | None = None) -> Pairs:
    """Pair what is relevant (N, M) bool as positive and all else as negative, the anchor itself as neither."""
    return Pairs(without_self(relevant, own), without_self(~relevant, own))


def without_self(mask: Tensor, own: Tensor | None) -> Tensor:
    """Return `mask` (N, M) with False where a row meets itself."""
    if own is None:
        return mask
    return mask.scatter(1, own[:, None], False)


def row_counts(mask: Tensor, dtype: torch.dtype = torch.int64) -> Tensor:
    """Return how many of each row of `mask` (N, M) bool are True (N,).

    Example:
        >>> row_counts(torch.tensor([[True, False, True]]))
        tensor([2])
    """
    # Summing bytes is several times faster than summing booleans.
    return mask.view(torch.uint8).sum(dim=1, dtype=torch.int32).to(dtype)


def positive_slots(positive: Tensor) -> tuple[Tensor, Tensor]:
    """List each anchor's positives in slots, so that a loop over slots visits every positive pair.

    Args:
        positive: (N, M) bool.

    Returns:
        `columns` (N, P) int64 and `filled` (N, P) bool; P is the largest number of positives of an anchor.

    Example:
        >>> columns, filled = positive_slots(torch.tensor([[True, False, True], [False, True, False]]))
        >>> columns, filled
        (tensor([[0, 2],
                [1, 0]]), tensor([[ True,  True],
                [ True, False]]))
    """
    anchor, column = positive.nonzero(as_tuple=True)
    counts = torch.bincount(anchor, minlength=len(positive))
    slots = int(counts.max()) if len(counts) else 0
    filled = torch.arange(slots, device=anchor.device) < counts[:, None]
    # Both go by rows, and within a row from left to right.
    return column.new_zeros(filled.shape).masked_scatter_(filled, column), filled
