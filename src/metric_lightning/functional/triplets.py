"""Sums over all triplets of an anchor, exact, without enumerating them.

distances (N, M); positive and negative (N, M) bool; P is the largest number of positives of an anchor. For an anchor
with positives p and negatives n,

    hinge:        sum_pn max(0, d_p - d_n + m)
    soft margin:  sum_pn log(1 + exp(d_p - d_n + m))

The hinge needs two counts. c_p, the negatives closer than t_p = d_p + m; b_n, the positives with t_p > d_n. Then
sum = sum_p c_p t_p - sum_n b_n d_n, dsum/dd_p = c_p, dsum/dd_n = -b_n: one pass over N x M for each slot of positives,
or, where an anchor has many, a search of each negative among its anchor's sorted thresholds.
"""

import torch
from torch import Tensor

from metric_lightning.functional.cached_rows import cached_rows
from metric_lightning.functional.pairs import positive_slots, row_counts
from metric_lightning.functional.slopes import with_slopes

_FEW_SLOTS = 24
_FACTORS = 64  # 2^64 is far from the largest number of float32


def triplet_hinge_sums(distances: Tensor, positive: Tensor, negative: Tensor, margin: float) -> tuple[Tensor, Tensor]:
    """Return, for each anchor, the sum of the hinge over all its triplets (N,) and how many are active (N,).

    Example:
        >>> distances = torch.tensor([[0.0, 1.0, 1.5, 3.0]])
        >>> positive = torch.tensor([[False, True, False, False]])
        >>> negative = torch.tensor([[False, False, True, True]])
        >>> triplet_hinge_sums(distances, positive, negative, margin=1.0)
        (tensor([0.5000]), tensor([1.]))
    """
    fixed = distances.detach()
    columns, filled = positive_slots(positive)
    totals, active, slopes = fixed.new_empty(len(fixed)), fixed.new_empty(len(fixed)), torch.empty_like(fixed)
    for rows in cached_rows(fixed):
        thresholds = _starts(fixed[rows], columns[rows], filled[rows], margin)
        others = fixed[rows].masked_fill(~negative[rows], torch.inf)
        count = _count_by_slots if columns.shape[1] <= _FEW_SLOTS else _count_by_search
        closer, beaten = count(thresholds, others)
        totals[rows] = (closer * thresholds.masked_fill_(~filled[rows], 0)).sum(dim=1)
        totals[rows] -= torch.mul(beaten, fixed[rows], out=others).sum(dim=1)
        active[rows] = closer.sum(dim=1)
        # Unfilled slots point at column 0 with a count of 0.
        torch.neg(beaten, out=slopes[rows]).scatter_add_(1, columns[rows], closer)
    return with_slopes(totals, slopes, distances), active


def triplet_soft_margin_sums(distances: Tensor, positive: Tensor, negative: Tensor, margin: float = 0.0) -> Tensor:
    """Return, for each anchor, the sum of log(1 + exp(d_p - d_n + margin)) over all its triplets (N,).

    Example:
        >>> distances = torch.tensor([[0.0, 1.0, 1.0]])
        >>> positive = torch.tensor([[False, True, False]])
        >>> triplet_soft_margin_sums(distances, positive, torch.tensor([[False, False, True]]))
        tensor([0.6931])
    """
    fixed = distances.detach()
    columns, filled = positive_slots(positive)
    totals, slopes = fixed.new_zeros(len(fixed)), torch.empty_like(fixed)
    for rows in cached_rows(fixed):
        starts = _starts(fixed[rows], columns[rows], filled[rows], margin)
        others = fixed[rows].masked_fill(~negative[rows], torch.inf)
        sums, pulls, pushes = _soft_margin_by_slots(starts, others)
        totals[rows] = sums
        torch.neg(pushes, out=slopes[rows]).scatter_add_(1, columns[rows], pulls)
    return with_slopes(totals, slopes, distances)


def count_triplets(positive: Tensor, negative: Tensor, dtype: torch.dtype) -> Tensor:
    """Return how many triplets each anchor has (N,)."""
    return row_counts(positive, dtype) * row_counts(negative, dtype)


def _starts(distances: Tensor, columns: Tensor, filled: Tensor, margin: float) -> Tensor:
    return (distances.gather(1, columns) + margin).masked_fill_(~filled, -torch.inf)


def _soft_margin_by_slots(starts: Tensor, others: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sums (N,), and the sums of the sigmoids over negatives (N, P) and over positives (N, M).

    log(1 + exp(z)) = max(0, z) + log(1 + exp(-|z|)): the factors 1 + exp(-|z|), between 1 and 2, are multiplied up, and
    one logarithm is taken for many slots.
    """
    totals = others.new_zeros(len(others))
    pulls, pushes = torch.zeros_like(starts), torch.zeros_like(others)
    difference, work = torch.empty_like(others), torch.empty_like(others)
    for first in range(0, starts.shape[1], _FACTORS):
        product = torch.ones_like(others)
        for slot in range(first, min(first + _FACTORS, starts.shape[1])):
            torch.sub(starts[:, slot : slot + 1], others, out=difference)
            totals += torch.clamp_min(difference, 0, out=work).sum(dim=1)
            torch.abs(difference, out=work).neg_().exp_()
            product.addcmul_(product, work)
            pulls[:, slot] = difference.sigmoid_().sum(dim=1)
            pushes += difference
        totals += product.log_().sum(dim=1)
    return totals, pulls, pushes


def _count_by_slots(thresholds: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    closer = torch.zeros_like(thresholds)
    beaten = torch.zeros_like(others)
    below = torch.empty_like(others)  # as numbers: comparing into booleans and adding those is several times slower
    for slot in range(thresholds.shape[1]):
        torch.lt(others, thresholds[:, slot : slot + 1], out=below)
        closer[:, slot] = below.sum(dim=1)
        beaten += below
    return closer, beaten


def _count_by_search(thresholds: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    slots = thresholds.shape[1]
    ordered, order = thresholds.sort(dim=1)
    place = torch.searchsorted(ordered, others, right=True)  # thresholds <= d_n; all of them where d_n is infinite
    counts = torch.zeros(len(thresholds), slots + 1, dtype=others.dtype, device=others.device)
    counts.scatter_add_(1, place, torch.ones_like(others))
    # The negatives below the k-th threshold are those with at most k thresholds <= d_n.
    closer = torch.zeros_like(thresholds).scatter_(1, order, counts.cumsum(dim=1)[:, :slots])
    return closer, (slots - place).to(others.dtype)
