"""Sums over all triplets of an anchor whose d_n - d_p lies in a band, exact, without enumerating them.

N anchors, M references, d (N, M) distances, P the largest number of positives of an anchor: one pass over N x M for
each slot of positives.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metric_lightning.functional.cached_rows import cached_rows
from metric_lightning.functional.pairs import positive_slots
from metric_lightning.functional.slopes import with_slopes
from metric_lightning.types import TripletBand


def triplet_band_sums(
    distances: Tensor, band: TripletBand, cost: Callable[[Tensor], Tensor], slope: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return, for each anchor, the sum of costs over the band (N,), and how many triplets cost something and are in it.

    Args:
        distances: (N, M).
        band: which triplets.
        cost: elementwise, of d_p - d_n, >= 0; 0 at -inf.
        slope: its derivative.

    Example:
        >>> from metric_lightning.types import Pairs
        >>> pairs = Pairs(torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]]))
        >>> distances = torch.tensor([[1.0, 1.25, 1.75]])
        >>> triplet_band_sums(distances, TripletBand(pairs, 0.0, 0.5), lambda d: (d + 0.5).clamp_min(0), torch.sign)
        (tensor([0.2500]), tensor([1.]), tensor([1.]))
    """
    fixed = distances.detach()
    columns, filled = positive_slots(band.pairs.positive)
    sums, slopes = fixed.new_zeros(3, len(fixed)), torch.zeros_like(fixed)
    # What is no triplet has a difference of -inf, and must be in no band.
    least = max(-band.below, torch.finfo(fixed.dtype).min)
    for rows in cached_rows(fixed):
        nearer = fixed[rows].gather(1, columns[rows]).masked_fill_(~filled[rows], -torch.inf)
        others = fixed[rows].masked_fill(~band.pairs.negative[rows], torch.inf)
        pulls = torch.zeros_like(nearer)
        for slot in range(columns.shape[1]):
            differences = nearer[:, slot : slot + 1] - others
            inside = torch.ge(differences, least, out=torch.empty_like(differences))
            inside -= torch.ge(differences, -band.above, out=torch.empty_like(differences))
            costs = cost(differences).mul_(inside)
            sums[:, rows] += torch.stack([costs.sum(dim=1), costs.sign().sum(dim=1), inside.sum(dim=1)])
            pushes = slope(differences).mul_(inside)
            pulls[:, slot] = pushes.sum(dim=1)
            slopes[rows] -= pushes
        slopes[rows].scatter_add_(1, columns[rows], pulls)
    return with_slopes(sums[0], slopes, distances), sums[1], sums[2]
