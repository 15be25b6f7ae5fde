"""Where the relevant items of each query stand: all that a retrieval metric has to know.

B queries (rows), M gallery items (columns), P places for relevant items (the largest number of them
in a block).
"""

from typing import NamedTuple

import torch
from torch import Tensor


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


def relevant_ranks(scores: Tensor, columns: Tensor) -> RelevantRanks:
    """Rank the relevant items of a block of queries.

    Args:
        scores: (B, M), larger is closer; -inf for items that a query is not compared with.
            The rows may be overwritten.
        columns: (B, P) int64, the columns of the relevant items, -1 where a query has fewer than P.
            Items with score -inf are passed over.

    Returns:
        the `RelevantRanks`; an item's column is not told.

    Example:
        >>> ranks = relevant_ranks(torch.tensor([[0.1, 0.9, 0.5, 0.5]]), torch.tensor([[0, 2]]))
        >>> ranks.closer.tolist(), ranks.tied.tolist()
        ([[1, 3]], [[2, 1]])
    """
    relevant = relevant_scores(scores, columns)
    return rank_among(relevant, ascending(scores))


def relevant_scores(scores: Tensor, columns: Tensor) -> Tensor:
    """Return the scores (B, P) of the relevant items in ascending order, -inf for filling."""
    return torch.where(columns >= 0, scores.gather(1, columns.clamp(min=0)), -torch.inf).sort(dim=1).values


def rank_among(relevant: Tensor, row: Tensor, depth: int | None = None) -> RelevantRanks:
    """Rank the relevant scores (B, P) among the scores of all items, both in ascending order.

    Args:
        relevant: (B, P), -inf for filling.
        row: (B, M); or the last columns of that, the top of the ranking.
        depth: None for the whole row. For a top it is how many items of a ranking matter, fewer than the top's columns.
            Relevant items with `depth` or more items closer are reported with some such rank, not tied.
    """
    valid = relevant > -torch.inf
    closer, tied = _count(row, relevant)
    if depth is not None:
        tied = tied.masked_fill(closer >= depth, 1)
    closer_relevant, tied_relevant = _count(relevant, relevant)
    place = torch.arange(relevant.shape[1] - 1, -1, -1, device=relevant.device)
    pure = tied == tied_relevant
    closer = torch.where(pure, closer + place - closer_relevant, closer).masked_fill(~valid, 0)
    closer_relevant = torch.where(pure, place, closer_relevant).masked_fill(~valid, 0)
    lone = pure | ~valid
    ascending_ranks = (valid, closer, tied.masked_fill(lone, 1), closer_relevant, tied_relevant.masked_fill(lone, 1))
    return RelevantRanks(*(values.flip(1) for values in ascending_ranks))


def cut_ties(relevant: Tensor, top: Tensor, depth: int) -> Tensor:
    """Return (B,) bool: a relevant item that matters is tied with the last of the top, and perhaps with more."""
    reached = (relevant == top[:, :1]) & (relevant > -torch.inf)
    return reached.any(1) & (top[:, -depth] == top[:, 0])


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
