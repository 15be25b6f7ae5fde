"""Classification by a vote of the nearest items.

Q queries, M gallery items, D dimensions, C classes.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metric_lightning.functional.nearest import nearest
from metric_lightning.functional.scores import Distance, Scores
from metric_lightning.functional.unit_rows import unit_rows


def knn_predict(
    queries: Tensor,
    gallery: Tensor,
    gallery_labels: Tensor,
    k: int = 5,
    weighted: bool = False,
    distance: Distance = "euclidean",
) -> Tensor:
    """Return the class with most votes among each query's k nearest items.

    A vote is 1, or 1 / distance where `weighted` (items at distance 0, if there are any, then vote
    alone), as in scikit-learn's `KNeighborsClassifier`, and as there the smallest label wins among
    classes with equally many votes. Items tied at the k-th place share the votes that are left in
    equal parts, so that the order of the gallery never matters.

    Args:
        queries: (Q, D).
        gallery: (M, D).
        gallery_labels: (M,) int64.
        k: at least 1 and at most M.
        weighted: weigh votes by 1 / distance.
        distance: "euclidean", "cosine" or, not weighted, "dot".

    Returns:
        (Q,) int64 labels.

    Raises:
        ValueError: k is less than 1 or more than M; weighted votes by "dot", which is no distance.

    Example:
        >>> gallery, labels = torch.tensor([[0.0], [1.0], [2.0], [7.0]]), torch.tensor([4, 4, 6, 6])
        >>> knn_predict(torch.tensor([[0.9], [6.0]]), gallery, labels, k=3).tolist()
        [4, 6]
    """
    if not 1 <= k <= len(gallery):
        raise ValueError(f"k={k} must lie between 1 and the number of gallery items, {len(gallery)}")
    if weighted and distance not in _LENGTH:
        raise ValueError(f"distance={distance!r} has no weights; use {' or '.join(_LENGTH)}, or weighted=False")
    scores = Scores(queries, gallery, distance)
    classes, class_of = torch.unique(gallery_labels, return_inverse=True)
    predicted = [gallery_labels.new_empty(0)]
    for rows in scores.blocks(torch.arange(len(queries), device=queries.device)):
        block = scores.block(rows)
        values, columns = nearest(block, min(k + 1, len(gallery)))
        open_end = values[:, k - 1] == values[:, k] if k < len(gallery) else torch.zeros_like(rows, dtype=torch.bool)
        columns = columns[:, :k]
        share = torch.ones(columns.shape, dtype=torch.float64, device=rows.device)
        if weighted:
            share = _weights(queries[rows], gallery, columns, distance)
        votes = share.new_zeros(len(rows), len(classes)).scatter_add_(1, class_of[columns], share)
        for row in open_end.nonzero()[:, 0].tolist():
            votes[row] = _tied_votes(
                block[row],
                k,
                class_of,
                len(classes),
                queries[rows[row]],
                gallery,
                weighted,
                distance,
            )
        predicted.append(classes[votes.argmax(1)])
    return torch.cat(predicted)


def _tied_votes(
    scores: Tensor,
    k: int,
    class_of: Tensor,
    n_classes: int,
    query: Tensor,
    gallery: Tensor,
    weighted: bool,
    distance: Distance,
) -> Tensor:
    """(C,) votes of one query, whose k-th nearest item is tied with the next."""
    kth = scores.topk(k).values[-1]
    closer, tied = (scores > kth).nonzero()[:, 0], (scores == kth).nonzero()[:, 0]
    # All votes are multiplied by the number of tied items: whole numbers stay whole, and equal
    # votes equal.
    columns = torch.cat([closer, tied])
    share = torch.full((len(columns),), float(k - len(closer)), dtype=torch.float64, device=scores.device)
    share[: len(closer)] = len(tied)
    if weighted:
        share *= _weights(query[None], gallery, columns[None], distance)[0]
    return share.new_zeros(n_classes).scatter_add_(0, class_of[columns], share)


def _weights(queries: Tensor, gallery: Tensor, columns: Tensor, distance: Distance) -> Tensor:
    """(B, K) float64: 1 / distance; where an item is at distance 0, 1 for such and 0 for others."""
    lengths = _LENGTH[distance](queries.double()[:, None], gallery[columns].double())
    at_zero = lengths == 0
    weights = 1 / torch.where(at_zero, 1.0, lengths)
    return torch.where(at_zero.any(1, keepdim=True), at_zero.double(), weights)


def _euclidean_length(queries: Tensor, items: Tensor) -> Tensor:
    return (queries - items).norm(dim=-1)


def _cosine_length(queries: Tensor, items: Tensor) -> Tensor:
    units = unit_rows(queries.flatten(0, 1)), unit_rows(items.flatten(0, 1))
    return (1 - (units[0].view_as(queries) * units[1].view_as(items)).sum(-1)).clamp(min=0)


_LENGTH: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "euclidean": _euclidean_length,
    "cosine": _cosine_length,
}
