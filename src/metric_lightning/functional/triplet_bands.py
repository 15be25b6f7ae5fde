"""Sums over all triplets of an anchor whose d_n - d_p lies in a band, exact, without enumerating them.

N anchors, M references, d (N, M) distances, P the largest number of positives of an anchor: one pass over N x M for
each slot of positives.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from metric_lightning.functional.cached_rows import cached_rows
from metric_lightning.functional.pairs import positive_slots
from metric_lightning.functional.slopes import with_slopes
from metric_lightning.types import TripletBand


def triplet_band_sums(
    distances: Tensor, band: TripletBand, cost: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each anchor, the sums over the band of the costs, of their slopes, and of 1 (N,).

    Args:
        distances: (N, M).
        band: which triplets.
        cost: elementwise, of d_p - d_n; 0 at -inf; gives a new tensor.
        slope: its derivative, likewise; of a hinge it is 1 for what costs something, and its sum their number.

    Example:
        >>> from metric_lightning.types import Pairs
        >>> pairs = Pairs(torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]]))
        >>> distances = torch.tensor([[1.0, 1.25, 1.75]])
        >>> triplet_band_sums(distances, TripletBand(pairs, 0.0, 0.5), torch.exp, torch.exp)
        (tensor([0.7788]), tensor([0.7788]), tensor([1.]))
    """
    fixed = distances.detach()
    columns, filled = positive_slots(band.pairs.positive)
    totals, pulled, every = fixed.new_zeros(3, len(fixed))
    slopes = torch.zeros_like(fixed)
    for rows in cached_rows(fixed):
        pulls = fixed.new_zeros(columns[rows].shape)
        for slot, differences, inside in _slots(fixed, columns, filled, band, rows):
            totals[rows] += cost(differences).mul_(inside).sum(dim=1)
            every[rows] += inside.sum(dim=1)
            pushes = slope(differences).mul_(inside)
            pulls[:, slot] = pushes.sum(dim=1)
            slopes[rows] -= pushes
        pulled[rows] = pulls.sum(dim=1)
        slopes[rows].scatter_add_(1, columns[rows], pulls)
    return with_slopes(totals, slopes, distances), pulled, every


def triplet_band_counts(distances: Tensor, band: TripletBand) -> Tensor:
    """Return in how many triplets of the band each pair is (N, M): all that a sum of costs of single pairs needs.

    Args:
        distances: (N, M), detached.
        band: which triplets.

    Example:
        >>> from metric_lightning.types import Pairs
        >>> pairs = Pairs(torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]]))
        >>> triplet_band_counts(torch.tensor([[1.0, 1.25, 1.75]]), TripletBand(pairs, 0.0, 1.0))
        tensor([[2., 1., 1.]])
    """
    columns, filled = positive_slots(band.pairs.positive)
    counts = torch.zeros_like(distances)
    for rows in cached_rows(distances):
        of_positives = distances.new_zeros(columns[rows].shape)
        for slot, _, inside in _slots(distances, columns, filled, band, rows):
            of_positives[:, slot] = inside.sum(dim=1)
            counts[rows] += inside
        counts[rows].scatter_add_(1, columns[rows], of_positives)
    return counts


def triplet_band_values(distances: Tensor, band: TripletBand) -> Iterator[Tensor]:
    """Yield d_p - d_n of the triplets of the band, a part at a time (T,): never more than N x M.

    Args:
        distances: (N, M), detached.
        band: which triplets.

    Example:
        >>> from metric_lightning.types import Pairs
        >>> pairs = Pairs(torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]]))
        >>> list(triplet_band_values(torch.tensor([[1.0, 1.25, 1.75]]), TripletBand(pairs, 0.0, 0.5)))
        [tensor([-0.2500])]
    """
    columns, filled = positive_slots(band.pairs.positive)
    for rows in cached_rows(distances):
        for _, differences, inside in _slots(distances, columns, filled, band, rows):
            yield differences[inside.bool()]


def _slots(
    distances: Tensor, columns: Tensor, filled: Tensor, band: TripletBand, rows: slice
) -> Iterator[tuple[int, Tensor, Tensor]]:
    """For each slot of positives yield its number, d_p - d_n (rows, M), and 1 where that is in the band, else 0."""
    # What is no triplet has a difference of -inf, and must be in no band.
    least = max(-band.below, torch.finfo(distances.dtype).min)
    nearer = distances[rows].gather(1, columns[rows]).masked_fill_(~filled[rows], -torch.inf)
    others = distances[rows].masked_fill(~band.pairs.negative[rows], torch.inf)
    for slot in range(columns.shape[1]):
        differences = nearer[:, slot : slot + 1] - others
        inside = torch.ge(differences, least, out=torch.empty_like(differences))
        if band.above > -torch.inf:
            inside -= torch.ge(differences, -band.above, out=torch.empty_like(differences))
        yield slot, differences, inside
