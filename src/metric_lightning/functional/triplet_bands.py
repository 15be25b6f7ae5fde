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
    # What is no triplet has a difference of -inf, and must be in no band.
    least = max(-band.below, torch.finfo(fixed.dtype).min)
    for rows in cached_rows(fixed):
        nearer = fixed[rows].gather(1, columns[rows]).masked_fill_(~filled[rows], -torch.inf)
        others = fixed[rows].masked_fill(~band.pairs.negative[rows], torch.inf)
        pulls = torch.zeros_like(nearer)
        for slot in range(columns.shape[1]):
            differences = nearer[:, slot : slot + 1] - others
            inside = torch.ge(differences, least, out=torch.empty_like(differences))
            if band.above > -torch.inf:
                inside -= torch.ge(differences, -band.above, out=torch.empty_like(differences))
            totals[rows] += cost(differences).mul_(inside).sum(dim=1)
            every[rows] += inside.sum(dim=1)
            pushes = slope(differences).mul_(inside)
            pulls[:, slot] = pushes.sum(dim=1)
            slopes[rows] -= pushes
        pulled[rows] = pulls.sum(dim=1)
        slopes[rows].scatter_add_(1, columns[rows], pulls)
    return with_slopes(totals, slopes, distances), pulled, every
