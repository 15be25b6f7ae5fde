"""By which distance a metric judges pairs: a fixed one, or the one that the module's loss has learned."""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.scores import check_finite

JudgingDistance = Literal["euclidean", "cosine", "loss"]

_BLOCK_ELEMENTS = 2**22


def check_judging(distance: str) -> JudgingDistance:
    """Return `distance`, or raise ValueError where it is unknown."""
    if distance not in ("euclidean", "cosine", "loss"):
        raise ValueError(f"distance={distance!r} must be 'euclidean', 'cosine' or 'loss'")
    return distance  # type: ignore[return-value]


def learned(distance: Distance | None) -> Distance:
    """Return the loss's distance, or raise ValueError where there is none to judge by."""
    if distance is None:
        raise ValueError(
            "distance='loss' judges by the distance of the module's loss: give the metric to a module whose loss has "
            "one (PairCrossEntropyLoss, say), or call metric.take_distance(loss.distance)"
        )
    return distance


@torch.no_grad()
def table_of_distances(distance: Distance, x: Tensor, y: Tensor) -> Tensor:
    """Return the (N, M) distances of x (N, D) and y (M, D), float32 on the CPU.

    Raises:
        ValueError: embeddings that aren't finite.
    """
    x, y = check_finite(x, "embeddings"), check_finite(y, "embeddings")
    device = next((parameter.device for parameter in distance.parameters()), x.device)
    rows = max(1, _BLOCK_ELEMENTS // max(1, len(y)))
    y = y.to(device, torch.float32)
    parts = [distance(part, y).cpu() for part in x.to(device, torch.float32).split(rows)]
    return torch.cat(parts) if parts else x.new_empty(0, len(y))


@torch.no_grad()
def listed_distances(distance: Distance, x: Tensor, y: Tensor) -> Tensor:
    """Return the (n,) distances of x (n, D) to y (n, D), row by row, float32 on the CPU.

    Distances are functions of two rows, so those of a small table's diagonal are those of the rows.
    """
    parts = [
        table_of_distances(distance, first, second).diagonal()
        for first, second in zip(x.split(16), y.split(16), strict=True)
    ]
    return torch.cat(parts) if parts else x.new_empty(0)


def all_pairs(distance: Distance, embeddings: Tensor, labels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Give (distances, same) of all pairs of a set, each once, a block at a time; labels (n,) or (n, C) bool."""
    rows = max(1, _BLOCK_ELEMENTS // max(1, len(embeddings)))
    for start in range(0, len(embeddings), rows):
        stop = min(start + rows, len(embeddings))
        later = torch.ones(stop - start, len(embeddings) - start, dtype=torch.bool).triu_(1)
        found = table_of_distances(distance, embeddings[start:stop], embeddings[start:])
        first, second = labels[start:stop], labels[start:]
        shared = first[:, None] == second if labels.ndim == 1 else (first.float() @ second.float().t()) > 0
        yield found[later], shared.cpu()[later]
