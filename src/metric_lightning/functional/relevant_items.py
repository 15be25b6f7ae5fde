"""Which gallery items are relevant to which queries.

Q queries, M gallery items, C labels; a block of B queries has at most P relevant items each.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from metric_lightning.functional.scores import block_rows


class Relevance(Protocol):
    """Tells the relevant items of queries, a block at a time.

    Attributes:
        count: (Q,) int64, the number of relevant items of each query, the query itself included
            where it is one.
    """

    count: Tensor

    def columns(self, rows: Tensor) -> Tensor:
        """Return (B, P) int64: the columns relevant to the queries `rows` (B,), -1 for filling."""
        ...


class SameLabel:
    """Items with the query's label are relevant.

    Args:
        query_labels: (Q,) int64.
        gallery_labels: (M,) int64.

    Example:
        >>> relevance = SameLabel(torch.tensor([7, 5]), torch.tensor([5, 7, 5]))
        >>> relevance.columns(torch.tensor([0, 1])).tolist()
        [[1, -1], [0, 2]]
    """

    def __init__(self, query_labels: Tensor, gallery_labels: Tensor) -> None:
        ordered, self._order = gallery_labels.sort(stable=True)
        self._start = torch.searchsorted(ordered, query_labels)
        self.count = torch.searchsorted(ordered, query_labels, right=True) - self._start

    def columns(self, rows: Tensor) -> Tensor:
        """Return (B, P) int64: the columns relevant to the queries `rows` (B,), -1 for filling."""
        count = self.count[rows][:, None]
        place = torch.arange(int(count.max()) if count.numel() else 0, device=rows.device)
        if not len(place):
            return torch.empty(len(rows), 0, dtype=torch.int64, device=rows.device)
        found = self._order[(self._start[rows][:, None] + place).clamp(max=len(self._order) - 1)]
        return found.masked_fill(place >= count, -1)


class Matching:
    """Items that a function of labels says are relevant.

    Args:
        relevant: (labels of B queries, labels of M items) -> (B, M) bool.
        query_labels: (Q, ...).
        gallery_labels: (M, ...).

    Example:
        >>> labels = torch.tensor([3, 5, 4])
        >>> near = Matching(lambda x, y: (x[:, None] - y).abs() <= 1, labels, labels)
        >>> near.columns(torch.tensor([0, 2])).tolist()
        [[0, 2, -1], [0, 1, 2]]
    """

    def __init__(
        self, relevant: Callable[[Tensor, Tensor], Tensor], query_labels: Tensor, gallery_labels: Tensor
    ) -> None:
        self._relevant, self._queries, self._gallery = relevant, query_labels, gallery_labels
        rows = torch.arange(len(query_labels), device=query_labels.device)
        self.count = torch.cat([self._mask(block).sum(1) for block in rows.split(block_rows(len(gallery_labels)))])

    def _mask(self, rows: Tensor) -> Tensor:
        return self._relevant(self._queries[rows], self._gallery)

    def columns(self, rows: Tensor) -> Tensor:
        """Return (B, P) int64: the columns relevant to the queries `rows` (B,), -1 for filling."""
        return columns_of(self._mask(rows))


def shared_label(query_labels: Tensor, gallery_labels: Tensor) -> Tensor:
    """Return (B, M) bool, whether labels (B, C) and (M, C) have at least one in common.

    Example:
        >>> shared_label(torch.tensor([[True, True]]), torch.tensor([[False, True], [False, False]]))
        tensor([[ True, False]])
    """
    return (query_labels != 0).float() @ (gallery_labels != 0).float().t() > 0


def relevance_of_labels(query_labels: Tensor, gallery_labels: Tensor) -> Relevance:
    """Return `SameLabel` for labels (n,), `Matching` by a `shared_label` for labels (n, C).

    Raises:
        ValueError: the two don't have the same number of dimensions or of labels.
    """
    if query_labels.ndim not in (1, 2) or query_labels.shape[1:] != gallery_labels.shape[1:]:
        raise ValueError(
            f"labels {tuple(query_labels.shape)} and {tuple(gallery_labels.shape)} must be "
            "(Q,) and (M,), or (Q, C) and (M, C)"
        )
    if query_labels.ndim == 1:
        return SameLabel(query_labels, gallery_labels)
    return Matching(shared_label, query_labels, gallery_labels)


def columns_of(mask: Tensor) -> Tensor:
    """Return (B, P) int64: the columns of the True elements of each row, filled up with -1.

    Example:
        >>> columns_of(torch.tensor([[True, False, True], [False, False, False]])).tolist()
        [[0, 2], [-1, -1]]
    """
    count = mask.sum(1)
    row, column = mask.nonzero(as_tuple=True)
    place = torch.arange(len(row), device=row.device) - (count.cumsum(0) - count)[row]
    columns = torch.full((len(mask), int(count.max()) if len(mask) else 0), -1, device=mask.device)
    columns[row, place] = column
    return columns
