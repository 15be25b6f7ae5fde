"""Ranks of relevant items for whole sets, a block of queries at a time.

Q queries, M gallery items, D dimensions. Memory is O(block x M); time is that of the matrix product
and little more while only the first items of each ranking matter (`depth`), and a sort of each row
otherwise.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from metric_lightning.functional.nearest import is_small, nearest
from metric_lightning.functional.relevant_items import Relevance
from metric_lightning.functional.relevant_ranks import (
    RelevantRanks,
    cut_ties,
    rank_among,
    relevant_ranks,
    relevant_scores,
)
from metric_lightning.functional.scores import Scores, block_rows

SkippedGroup = Literal["relevant", "all"]

CHUNK = 2048  # queries whose ranks are worked out at a time


class Skipped:
    """Gallery items that a query is not compared with.

    Args:
        own: (Q,) int64, the column that is the query itself, -1 for none; None where no query is in
            the gallery.
        query_groups: (Q,) int64 or None, where each query comes from (its camera, say); needs
            gallery_groups.
        gallery_groups: (M,) int64 or None.
        of_group: what a query's own group hides from it: "relevant", its relevant items
            (re-identification: the same person on the same camera), or "all" items.

    Raises:
        ValueError: groups of one side only.
    """

    def __init__(
        self,
        own: Tensor | None = None,
        query_groups: Tensor | None = None,
        gallery_groups: Tensor | None = None,
        of_group: SkippedGroup = "relevant",
    ) -> None:
        if (query_groups is None) != (gallery_groups is None):
            raise ValueError("query_groups and gallery_groups must be given together")
        if of_group not in ("relevant", "all"):
            raise ValueError(f"of_group={of_group!r} must be 'relevant' or 'all'")
        self._own, self._of_group = own, of_group
        self._query_groups, self._gallery_groups = query_groups, gallery_groups

    def hide(self, scores: Tensor, rows: Tensor, columns: Tensor) -> None:
        """Write -inf into the `scores` (B, M) of the queries `rows` (B,) with relevant `columns`."""
        if self._own is not None:
            own = self._own[rows]
            known = (own >= 0).nonzero()[:, 0]
            scores[known, own[known]] = -torch.inf
        if self._query_groups is None or self._gallery_groups is None:
            return
        groups = self._query_groups[rows][:, None]
        if self._of_group == "all":
            scores.masked_fill_(groups == self._gallery_groups, -torch.inf)
            return
        row, place = ((columns >= 0) & (groups == self._gallery_groups[columns])).nonzero(as_tuple=True)
        scores[row, columns[row, place]] = -torch.inf


def ranked_blocks(
    scores: Scores, relevance: Relevance, skipped: Skipped, depth: int | None = None
) -> Iterator[tuple[Tensor, RelevantRanks]]:
    """Yield (rows (B,), their `RelevantRanks`) until every query has come once, in any order.

    Args:
        scores: of the queries against the gallery.
        relevance: which items are relevant.
        skipped: which items don't take part.
        depth: ranks are exact up to this one and up to each query's number of relevant items; None: all ranks.

    Example:
        >>> from metric_lightning.functional.relevant_items import SameLabel
        >>> embeddings, labels = torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1])
        >>> leave_one_out = Skipped(own=torch.arange(3))
        >>> scores, relevance = Scores(embeddings, embeddings), SameLabel(labels, labels)
        >>> for rows, ranks in ranked_blocks(scores, relevance, leave_one_out):
        ...     print(rows.tolist(), ranks.n_relevant.tolist(), ranks.closer[ranks.valid].tolist())
        [2, 0, 1] [0, 1, 1] [0, 0]
    """
    # Queries with about as many relevant items share a chunk: little filling, and no one else's depth.
    order = relevance.count.argsort(stable=True)
    count = relevance.count[order]
    start = 0
    while start < len(order):
        # A chunk's ranks take about 20 P elements a query. It may hold many blocks of scores.
        widest = int(count[min(start + CHUNK, len(order)) - 1])
        rows = order[start : start + min(CHUNK, block_rows(20 * widest))]
        start += len(rows)
        columns = relevance.columns(rows)
        deep = None if depth is None else max(depth, columns.shape[1])
        if deep is None or not is_small(deep + 1, scores.n_gallery):
            yield rows, _by_sorting(scores, skipped, rows, columns)
        else:
            yield rows, _by_top(scores, skipped, rows, columns, deep)


def _by_sorting(scores: Scores, skipped: Skipped, rows: Tensor, columns: Tensor) -> RelevantRanks:
    parts = []
    for at in scores.blocks(torch.arange(len(rows), device=rows.device)):
        block = scores.block(rows[at])
        skipped.hide(block, rows[at], columns[at])
        parts.append(relevant_ranks(block, columns[at]))
    return RelevantRanks(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _by_top(scores: Scores, skipped: Skipped, rows: Tensor, columns: Tensor, depth: int) -> RelevantRanks:
    relevant, top = [], []
    for at in scores.blocks(torch.arange(len(rows), device=rows.device)):
        block = scores.block(rows[at])
        skipped.hide(block, rows[at], columns[at])
        relevant.append(relevant_scores(block, columns[at]))
        top.append(nearest(block, depth + 1)[0].flip(1))
    ranks = rank_among(torch.cat(relevant), torch.cat(top), depth)
    cut = cut_ties(torch.cat(relevant), torch.cat(top), depth).nonzero()[:, 0]
    if len(cut):
        whole = _by_sorting(scores, skipped, rows[cut], columns[cut])
        for values, exact in zip(ranks, whole, strict=True):
            values[cut] = exact
    return ranks
