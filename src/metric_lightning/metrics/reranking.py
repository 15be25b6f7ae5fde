"""Search in two steps: candidates by a fast distance, their order by a learned one."""

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.metrics.judging import table_of_distances


def rerank(distance: Distance, queries: Tensor, gallery: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Put the candidates of each query into the order of a distance, the learned score of pairs say.

    A search index finds the nearest by Euclidean or cosine distance only; a pair score is worked out for the few
    candidates that it found. Q queries, M gallery items, k candidates.

    Args:
        distance: `module.loss.distance` of a module trained with `PairCrossEntropyLoss`, or any other.
        queries: (Q, D).
        gallery: (M, D).
        positions: (Q, k) int64 in the gallery, as an index returns them; -1: none, stays last.

    Returns:
        Distances (Q, k), ascending, inf where there is no candidate; and the positions (Q, k) in that order. Of equal
        distances the first stays first.

    Raises:
        ValueError: positions outside the gallery, or embeddings that aren't finite.

    Example:
        >>> from metric_lightning.distances import EuclideanDistance
        >>> gallery = torch.tensor([[0.0], [5.0], [2.0]])
        >>> rerank(EuclideanDistance(), torch.tensor([[2.5]]), gallery, torch.tensor([[0, 2, -1]]))[1]
        tensor([[ 2,  0, -1]])
    """
    if positions.ndim != 2 or len(positions) != len(queries):
        raise ValueError(f"positions {tuple(positions.shape)} must be (Q, k) for {len(queries)} queries")
    if positions.numel() and not (-1 <= positions.min() and positions.max() < len(gallery)):
        raise ValueError(
            f"positions must be 0..{len(gallery) - 1}, or -1, got {int(positions.min())}..{int(positions.max())}"
        )
    distances = torch.full(positions.shape, torch.inf)
    for row, candidates in enumerate(positions):
        there = candidates >= 0
        distances[row, there] = table_of_distances(distance, queries[row : row + 1], gallery[candidates[there]])[0]
    distances, order = distances.sort(dim=1, stable=True)
    return distances, positions.gather(1, order)
