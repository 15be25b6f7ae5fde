"""Distances of the pairs of a set: of listed ones, or of all, counted block by block.

n samples, D dimensions. Distances are worked out in float64 and rounded to float32, so that pairs of equal samples tie
whatever the blocks; those below 2^-22 of the set's radius, which float32 embeddings can't tell from 0, are 0.
"""

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from metric_lightning.functional.scores import block_rows, check_finite
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.functional.verification import PairCounts, count_pairs

TrueDistance = Literal["euclidean", "cosine"]

MOST_EXACT_PAIRS = 2**25


def pair_distances(first: Tensor, second: Tensor, distance: TrueDistance = "euclidean") -> Tensor:
    """Return the distances (n,) of first (n, D) to second (n, D), row by row.

    Args:
        first: (n, D).
        second: (n, D).
        distance: "euclidean", |x - y|; or "cosine", 1 - <x, y> / (|x| |y|), 1 where one is zero.

    Raises:
        ValueError: an unknown distance, or embeddings that aren't finite.

    Example:
        >>> pair_distances(torch.tensor([[0.0, 3.0]]), torch.tensor([[4.0, 0.0]])).tolist()
        [5.0]
    """
    _check(distance)
    x, y = check_finite(first, "first").double(), check_finite(second, "second").double()
    if distance == "euclidean":
        return (x - y).norm(dim=1).float()
    found = 1 - (unit_rows(x) * unit_rows(y)).sum(1)
    return found.masked_fill(found < 2.0**-44, 0.0).float()  # equal directions tie, as among all pairs of a set


def count_all_pairs(
    embeddings: Tensor, labels: Tensor, distance: TrueDistance = "euclidean", bins: int | None = None
) -> PairCounts:
    """Count all n (n - 1) / 2 pairs of a set; two samples are the same where their labels are (where they share one).

    Args:
        embeddings: (n, D).
        labels: (n,) int64, or (n, C) bool.
        distance: "euclidean" or "cosine".
        bins: None is exact, in O(pairs) memory. A number counts in that many bins of equal width from 0 to the largest
            possible distance, in O(block + bins) memory: distances are then rounded to the bins' centres, and the
            ROC-AUC is off by at most half the share of (same, different) couples that fall into one bin.

    Raises:
        ValueError: an unknown distance, embeddings that aren't finite, bins < 1, or too many pairs for exact counts.

    Example:
        >>> pairs = count_all_pairs(torch.tensor([[0.0], [1.0], [3.0]]), torch.tensor([0, 0, 1]))
        >>> pairs.distances.tolist(), pairs.same.tolist(), pairs.different.tolist()
        ([1.0, 2.0, 3.0], [1.0, 0.0, 0.0], [0.0, 1.0, 1.0])
    """
    _check(distance)
    n_pairs = len(embeddings) * (len(embeddings) - 1) // 2
    if bins is not None and bins < 1:
        raise ValueError(f"bins={bins} must be at least 1, or None")
    if bins is None and n_pairs > MOST_EXACT_PAIRS:
        raise ValueError(
            f"{len(embeddings)} samples have {n_pairs} pairs, too many for exact counts (at most {MOST_EXACT_PAIRS}); "
            "give bins, 2**20 for instance"
        )
    blocks = _Blocks(check_finite(embeddings, "embeddings"), labels, distance)
    if bins is None:
        found = list(blocks)
        if not found:
            return count_pairs(torch.empty(0), torch.empty(0, dtype=torch.bool))
        return count_pairs(*(torch.cat(values) for values in zip(*found, strict=True)))
    counts = torch.zeros(2 * bins, dtype=torch.int64, device=embeddings.device)
    width = blocks.largest / bins
    for distances, same in blocks:
        place = (distances / width).long().clamp_(max=bins - 1)
        counts += torch.bincount(place + bins * same, minlength=2 * bins)
    different, same = counts.double().unflatten(0, (2, bins))
    filled = (different + same) > 0
    centres = (torch.arange(bins, dtype=torch.float64, device=counts.device) + 0.5) * width
    return PairCounts(centres[filled], same[filled], different[filled])


class _Blocks:
    """Iterates over (distances, same) of all pairs, a block at a time.

    Attributes:
        largest: no distance is larger.
    """

    def __init__(self, embeddings: Tensor, labels: Tensor, distance: TrueDistance) -> None:
        self._distance, self._labels = distance, labels
        points = embeddings.detach().double()
        if distance == "cosine":
            points = unit_rows(points)
        elif len(points):
            points = points - points.mean(0)
        self._points, self._squares = points, points.square().sum(1)
        radius = float(self._squares.max().sqrt()) if len(points) else 0.0
        self.largest = 2.0 if distance == "cosine" else max(2 * radius, 1e-25)  # so that no bin's width is 0 in float32
        self._indistinct = radius**2 * 2.0**-44

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n = len(self._points)
        # float64, and some temporaries beside it
        step = block_rows(4 * n)
        for start in range(0, n, step):
            stop = min(start + step, n)
            # each pair once: columns behind the row
            later = torch.ones(stop - start, n - start, dtype=torch.bool, device=self._points.device).triu_(1)
            same = _same(self._labels[start:stop], self._labels[start:])[later]
            yield self._lengths(start, stop)[later].float(), same

    def _lengths(self, start: int, stop: int) -> Tensor:
        products = self._points[start:stop] @ self._points[start:].t()
        if self._distance == "cosine":
            lengths = 1 - products
            return lengths.masked_fill_(lengths < self._indistinct, 0.0)
        squares = (self._squares[start:stop, None] + self._squares[start:]).sub_(products, alpha=2)
        return squares.masked_fill_(squares < self._indistinct, 0.0).sqrt_()


def _same(first: Tensor, second: Tensor) -> Tensor:
    if first.ndim == 1:
        return first[:, None] == second
    return (first != 0).float() @ (second != 0).float().t() > 0


def _check(distance: str) -> None:
    if distance not in ("euclidean", "cosine"):
        raise ValueError(f"distance={distance!r} must be 'euclidean' or 'cosine'")
