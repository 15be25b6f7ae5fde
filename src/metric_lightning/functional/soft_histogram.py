"""Histograms with linear interpolation: a value between two nodes counts towards both, so that there is a gradient.

L bins, nodes 0 to L; a value u counts 1 - |u - j| at each node j less than 1 away.
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.first_order import first_order_only

_CACHED = 2**17


def cumulative_histograms(positions: Tensor, mask: Tensor, bins: int) -> Tensor:
    """Return, for each row, the histogram of its masked positions summed up to each node (N, L + 1).

    A position counts towards the sum up to node j with 1 where it is at most j, 0 from j + 1 on, and linearly
    between. Its gradient is therefore read off one place. Cost: a pass over N x M for each node.

    Args:
        positions: (N, M), in bins.
        mask: (N, M) bool.
        bins: L.

    Example:
        >>> cumulative_histograms(torch.tensor([[0.25, 2.0, 1.0]]), torch.tensor([[True, True, False]]), bins=2)
        tensor([[0.7500, 1.0000, 2.0000]])
    """
    result: Tensor = _CumulativeHistograms.apply(positions, mask, bins)
    return result


def soft_histogram(positions: Tensor, mask: Tensor, bins: int) -> Tensor:
    """Return the one histogram of all masked positions (L + 1,); positions outside [0, L] count at the nearest end.

    Args:
        positions: any shape, in bins.
        mask: bool, of the same shape.
        bins: L.

    Example:
        >>> soft_histogram(torch.tensor([0.25, 2.0, 1.0]), torch.tensor([True, True, False]), bins=2)
        tensor([0.7500, 0.2500, 1.0000])
    """
    result: Tensor = _SoftHistogram.apply(positions, mask, bins)
    return result


class _CumulativeHistograms(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, mask: Tensor, bins: int) -> Tensor:
        negated = positions.neg().masked_fill_(~mask, -torch.inf)
        sums = positions.new_empty(len(positions), bins + 1)
        part = torch.empty_like(positions)
        for node, column in enumerate(sums.unbind(1)):
            torch.add(negated, node + 1, out=part).clamp_(0, 1)
            torch.sum(part, dim=1, out=column)
        ctx.save_for_backward(negated)
        return sums

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (negated,) = ctx.saved_tensors
        # Node j falls with slope 1 from j to j + 1; below the first and behind the last node nothing changes.
        slopes = torch.nn.functional.pad(gradient.neg(), (1, 1))
        slopes[:, -2:] = torch.stack([-gradient[:, -1], torch.zeros_like(gradient[:, -1])], dim=1)
        place = negated.neg().floor_().clamp_(-1, gradient.shape[1]).add_(1).to(torch.int64).clamp_min_(0)
        return slopes.gather(1, place), None, None


class _SoftHistogram(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, positions: Tensor, mask: Tensor, bins: int) -> Tensor:
        flat, counted = positions.flatten(), mask.flatten()
        place = torch.empty(len(flat), dtype=torch.int32, device=flat.device)
        sums = torch.zeros(2, bins + 1, dtype=torch.float64, device=flat.device)
        # Pieces stay in the cache; their sums are added in double precision, as one node may gather millions.
        rows = _CACHED if flat.device.type == "cpu" else max(1, len(flat))
        for piece, wanted, found in zip(flat.split(rows), counted.split(rows), place.split(rows), strict=True):
            inside = piece.clamp(0, bins)
            floor = inside.floor().clamp_(max=bins - 1)
            share = inside.sub_(floor)
            index = floor.to(torch.int64).clamp_min_(0).masked_fill_(~wanted, bins)  # NaN is no index
            found.copy_(index)
            sums[0] += share.new_zeros(bins + 1).scatter_add_(0, index, torch.ones_like(share))
            sums[1] += share.new_zeros(bins + 1).scatter_add_(0, index, share)
        every, upper = sums[:, :bins]
        histogram = sums.new_zeros(bins + 1)
        histogram[:bins] += every - upper
        histogram[1:] += upper
        ctx.save_for_backward(place.view_as(positions))
        return histogram.to(positions.dtype)

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (place,) = ctx.saved_tensors
        slopes = torch.cat([gradient.diff(), gradient.new_zeros(1)])
        return slopes.index_select(0, place.flatten()).view_as(place), None, None
