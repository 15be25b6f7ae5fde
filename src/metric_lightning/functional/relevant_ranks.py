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
    return ascending(torch.where(columns >= 0, scores.gather(1, columns.clamp(min=0)), -torch.inf))


def rank_among(relevant: Tensor, row: Tensor, depth: int | None = None) -> RelevantRanks:
    """Rank the relevant scores (B, P) among the scores of all items, both in ascending order.

    Args:
        relevant: (B, P), -inf for filling.
        row: (B, M); or the last columns of that, the top of the ranking.
        depth: None for the whole row. For a top it is how many items of a ranking matter, fewer than the top's columns.
            Relevant items with `depth` or more items closer are reported with some such rank, not tied.
    """
    valid = relevant > -torch.inf
    closer, tied = _count(row, relevant, torch.searchsorted(row, relevant))
    if depth is not None:
        tied = tied.masked_fill(closer >= depth, 1)
    closer_relevant, tied_relevant = _count(relevant, relevant, _run_starts(relevant))
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


def _count(row: Tensor, values: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:
    """Count the items of ascending rows (B, M) closer than, and tied with, the values (B, P) that start at (B, P).

    Where a value is -inf the counts are of no use.
    """
    last = row.shape[1] - 1
    if last < 0:
        return torch.zeros_like(start), torch.zeros_like(start)
    # A search for the end of each tie would cost as much as that for its start, and ties are rare: look at the next
    # item.
    present = (row.gather(1, start.clamp(max=last)) == values) & (start <= last)
    stop = start + present
    repeated = (row.gather(1, stop.clamp(max=last)) == values) & present & (start < last) & (values > -torch.inf)
    at = repeated.nonzero(as_tuple=True)
    if 8 * len(at[0]) > repeated.numel():
        stop = torch.searchsorted(row, values, right=True)
    elif len(at[0]):
        stop[at] = _end_of_tie(row, at[0], values[at], stop[at])
    return row.shape[1] - stop, stop - start


def _end_of_tie(row: Tensor, rows: Tensor, values: Tensor, low: Tensor) -> Tensor:
    """(T,) the first place from `low` on where `row[rows]` is above `values`: a bisection for few values."""
    high = torch.full_like(low, row.shape[1])
    while bool((low < high).any()):
        middle = (low + high) // 2
        tied = (row[rows, middle.clamp(max=row.shape[1] - 1)] == values) & (low < high)
        low, high = torch.where(tied, middle + 1, low), torch.where(tied, high, torch.minimum(middle, high))
    return low


def _run_starts(values: Tensor) -> Tensor:
    """(B, P) the place of the first of equal values in ascending rows (B, P)."""
    starts = torch.arange(values.shape[1], device=values.device).repeat(len(values), 1)
    starts[:, 1:].masked_fill_(values[:, 1:] == values[:, :-1], 0)
    return starts.cummax(dim=1).values if starts.shape[1] else starts
