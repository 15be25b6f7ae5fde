"""Where the relevant items of each query stand: all that a retrieval metric has to know.

B queries (rows), M gallery items (columns), P places for relevant items (the largest number of them
in a block).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from metric_lightning.functional.nearest import GROUP, nearest


class RelevantRanks(NamedTuple):
    """Each query's relevant items, closest first, filled up to P places.

    Items with equal scores are tied. The tied items of a query stand in random order, and a metric
    is its expected value over the orders; the counts below are what that takes. Relevant items that
    are tied with relevant items only need no expectation: they are given ranks of their own.

    Attributes:
        valid: (B, P) bool, False where a place is only filling (the counts are then those of a lone
            item at the top).
        closer: (B, P) int64, how many items are strictly closer to the query.
        tied: (B, P), how many items are as close, itself included.
        closer_relevant: (B, P), how many relevant items are strictly closer.
        tied_relevant: (B, P), how many relevant items are as close, itself included.
    """

    valid: Tensor
    closer: Tensor
    tied: Tensor
    closer_relevant: Tensor
    tied_relevant: Tensor

    @property
    def n_relevant(self) -> Tensor:
        """(B,) int64, the number of relevant items of each query."""
        return self.valid.sum(1)


def relevant_ranks(scores: Tensor, columns: Tensor, depth: int | None = None) -> RelevantRanks:
    """Rank the relevant items of a block of queries.

    Args:
        scores: (B, M), larger is closer; -inf for items that a query is not compared with. The rows
            may be overwritten.
        columns: (B, P) int64, the columns of the relevant items, -1 where a query has fewer than P.
            Items with score -inf are passed over.
        depth: how many items of a ranking matter. Relevant items with `depth` or more items closer
            are reported with some such rank, not tied. None ranks all.

    Returns:
        the `RelevantRanks`; an item's column is not told.

    Example:
        >>> ranks = relevant_ranks(torch.tensor([[0.1, 0.9, 0.5, 0.5]]), torch.tensor([[0, 2]]))
        >>> ranks.closer.tolist(), ranks.tied.tolist()
        ([[1, 3]], [[2, 1]])
    """
    own = torch.where(columns >= 0, scores.gather(1, columns.clamp(min=0)), -torch.inf)
    own = own.sort(dim=1).values  # ascending, filling first
    valid = own > -torch.inf
    if depth is None or 4 * (depth + 1) > scores.shape[1] // GROUP:
        closer, tied = _count(ascending(scores), own)
    else:
        closer, tied = _count_top(scores, own, valid, depth)
    closer_relevant, tied_relevant = _count(own, own)
    place = torch.arange(own.shape[1] - 1, -1, -1, device=own.device)
    pure = tied == tied_relevant
    closer = torch.where(pure, closer + place - closer_relevant, closer).masked_fill(~valid, 0)
    closer_relevant = torch.where(pure, place, closer_relevant).masked_fill(~valid, 0)
    lone = pure | ~valid
    ascending_ranks = (
        valid,
        closer,
        tied.masked_fill(lone, 1),
        closer_relevant,
        tied_relevant.masked_fill(lone, 1),
    )
    return RelevantRanks(*(values.flip(1) for values in ascending_ranks))


def ascending(scores: Tensor) -> Tensor:
    """Return the rows in ascending order; on a CPU in place, by numpy's fast vectorised sort."""
    if scores.device.type != "cpu":
        return scores.sort(dim=1).values
    scores.numpy().sort(axis=1)
    return scores


def _count(row: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Count the items of ascending rows (B, M) closer than, and tied with, each value (B, P)."""
    reached = torch.searchsorted(row, values, right=True)
    return row.shape[1] - reached, reached - torch.searchsorted(row, values)


def _count_top(scores: Tensor, own: Tensor, valid: Tensor, depth: int) -> tuple[Tensor, Tensor]:
    top = nearest(scores, depth + 1)[0].flip(1).contiguous()
    closer, tied = _count(top, own)
    # What is tied with the last of the top may be tied with more items outside: those rows are
    # counted whole.
    open_end = ((own == top[:, :1]) & (closer < depth) & valid).any(1).nonzero()[:, 0]
    if len(open_end):
        closer[open_end], tied[open_end] = _count(ascending(scores[open_end]), own[open_end].contiguous())
    beyond = closer >= depth
    return closer, tied.masked_fill(beyond, 1)
