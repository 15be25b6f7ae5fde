"""Which samples an embedding puts in the wrong place.

n samples, q queries, m gallery items.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class HardTriplets(NamedTuple):
    """Anchors with their farthest positive and their closest negative, the hardest first; all (t,) int64."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


def hardest_triplets(distances: Tensor, labels: Tensor, most: int) -> HardTriplets:
    """Return at most `most` anchors by d(anchor, farthest positive) - d(anchor, closest negative), largest first.

    Anchors without a positive or without a negative are left out. No sample comes twice as anchor or positive, or one
    outlier would be in all of them.

    Args:
        distances: (n, n).
        labels: (n,).
        most: at least 0.

    Example:
        >>> line = torch.tensor([[0.0], [5.0], [4.0], [9.0]])
        >>> found = hardest_triplets(torch.cdist(line, line), torch.tensor([0, 0, 1, 1]), 1)
        >>> [column.item() for column in found]
        [1, 0, 2]
    """
    same = labels[:, None] == labels[None]
    positive = distances.masked_fill(~same.clone().fill_diagonal_(False), -torch.inf).max(1)
    negative = distances.masked_fill(same, torch.inf).min(1)
    hardness = positive.values - negative.values
    order = hardness.sort(descending=True, stable=True).indices
    order = order[torch.isfinite(hardness[order])]
    chosen: list[int] = []
    seen: set[int] = set()
    for anchor in order.tolist():
        pair = {anchor, int(positive.indices[anchor])}
        if len(chosen) < most and not pair & seen:
            seen |= pair
            chosen.append(anchor)
    anchors = torch.tensor(chosen, dtype=torch.int64)
    return HardTriplets(anchors, positive.indices[anchors], negative.indices[anchors])


class Retrieved(NamedTuple):
    """Queries, the worst first, and what they retrieve.

    Attributes:
        query: (t,) int64.
        items: (t, k) int64, the nearest items, the closest first.
        right: (t, k) bool.
    """

    query: Tensor
    items: Tensor
    right: Tensor


def worst_queries(distances: Tensor, labels: Tensor, item_labels: Tensor, k: int, most: int) -> Retrieved:
    """Return at most `most` queries by how few of their k nearest items are of their class, the first counting most.

    Queries are ranked by sum over ranks r of right(r) / r, equal ones by how much farther than the nearest item the
    nearest of their class is. Queries without any item of their class are left out.

    Args:
        distances: (q, m).
        labels: (q,).
        item_labels: (m,).
        k: at most m count.
        most: at least 0.

    Example:
        >>> distances = torch.tensor([[0.1, 0.9], [0.2, 0.8]])
        >>> worst_queries(distances, torch.tensor([0, 1]), torch.tensor([0, 1]), k=1, most=1).query
        tensor([1])
    """
    items = distances.topk(min(k, distances.shape[1]), largest=False).indices
    right = item_labels[items] == labels[:, None]
    score = (right / torch.arange(1, items.shape[1] + 1)).sum(1)
    known = torch.isin(labels, item_labels)
    own = distances.masked_fill(item_labels[None] != labels[:, None], torch.inf).amin(1)
    farther = own / distances.amin(1).clamp_min(torch.finfo(distances.dtype).tiny)
    order = farther.sort(descending=True, stable=True).indices
    order = order[score[order].sort(stable=True).indices]
    order = order[known[order]][:most]
    return Retrieved(order, items[order], right[order])
