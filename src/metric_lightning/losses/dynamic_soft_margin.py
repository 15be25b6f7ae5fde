"""Dynamic soft margin (Zhang & Rusinkiewicz 2019, Learning local descriptors with a CDF-based dynamic soft margin).

N anchors, M references, T triplets; v (T,) d_ap - d_an, its histogram of B bins over [-r, r].
"""

from collections.abc import Iterable
from functools import partial

import torch
from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.distances import Distance
from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.functional.triplet_bands import triplet_band_sums, triplet_band_values
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.recomputed_blocks import RecomputedBlocks
from metric_lightning.losses.whole_batch import WholeBatchLoss
from metric_lightning.miners.base import TripletMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio, TripletBand, Triplets


class UnitEuclideanDistance(Distance):
    """Euclidean distance between x / |x| and y / |y|, in [0, 2]."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return euclidean_distances(unit_rows(x), unit_rows(y))


def soft_histogram(values: Tensor, bins: int, reach: float) -> Tensor:
    """Return the shares (B,) of values (T,) on B points over [-r, r]; a value is shared by the points on its two sides.

    Example:
        >>> soft_histogram(torch.tensor([-1.0, 0.5]), bins=3, reach=1.0)
        tensor([0.5000, 0.2500, 0.2500])
    """
    place = _place(values, bins, reach)
    low = place.floor()
    below = low.long().clamp_min_(0)  # NaN is no index
    upper = (place - low) / max(1, len(values))
    shares = values.new_zeros(bins).index_add(0, below, 1.0 / max(1, len(values)) - upper)
    return shares.index_add(0, (below + 1).clamp_max_(bins - 1), upper)


def cumulative_weights(values: Tensor, histogram: Tensor, reach: float) -> Tensor:
    """Return the share (T,) of the histogram (B,) up to the point below each value.

    Example:
        >>> cumulative_weights(torch.tensor([-1.0, 0.5]), torch.tensor([0.5, 0.25, 0.25]), reach=1.0)
        tensor([0.5000, 0.7500])
    """
    return histogram.cumsum(0)[_place(values, len(histogram), reach).long().clamp_min_(0)]


def _place(values: Tensor, bins: int, reach: float) -> Tensor:
    return ((values + reach) * ((bins - 1) / (2 * reach))).clamp(0, bins - 1)


class DynamicSoftMarginLoss(WholeBatchLoss):
    """w(v) (d_ap - d_an), the mean over triplets, w the share of past triplets that were easier than v = d_ap - d_an.

    A margin that nobody has to choose: the hardest triplets weigh 1, the easiest 0, and what is hard follows the
    network. It needs many triplets a batch for its statistics, and weighs mislabelled samples most.

    Triplets are each positive pair with the anchor's closest negative: the paper's, where each class has two samples
    and both are anchors. w is constant in the gradient. In training each batch first moves the histogram by
    `momentum` towards its own (the first one makes it); in evaluation it stays, and before any training all v are
    alike likely. It is saved with the checkpoint. It is of the whole batch: `row_wise` is False.

    The bins are the authors' code's, B points from -r to r; pytorch-metric-learning's n bins are B = n + 1.

    Helps:
        When no margin is known beforehand: triplets are weighed by where they lie among all so far.

    Collapses:
        With the hardest triplets of noisy labels; the histogram needs some batches to mean anything.

    Args:
        bins: B >= 2.
        momentum: share of the newest batch, in (0, 1].
        reach: r > 0; what lies beyond counts as r.
        distance: default Euclidean between unit vectors, so r = 2.
        miner: picks triplets, with a margin of its own where it needs one; None: the closest negative for each positive
            pair. Those of a band (`TripletMargin`) are never listed: two passes over N x M for each of an anchor's
            positives, in O(N x M) memory.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `WholeBatchLoss`.

    Example:
        >>> loss = DynamicSoftMarginLoss(bins=3)
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> loss(embeddings, torch.tensor([0, 0, 1]))  # v is -0.59 and 0; w 0.15 and 1
        tensor(-0.0429)
    """

    histogram: Tensor
    started: Tensor

    def __init__(
        self,
        bins: int = 512,
        momentum: float = 0.01,
        reach: float = 2.0,
        distance: Distance | None = None,
        miner: TripletMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(UnitEuclideanDistance() if distance is None else distance, miner, relevance, block_size)
        check_whole(self, "bins", bins, least=2)
        if not 0 < momentum <= 1:
            raise ValueError(f"DynamicSoftMarginLoss: momentum must be above 0 and at most 1, got {momentum}")
        self.momentum = momentum
        self.reach = check_positive(self, "reach", reach)
        self.register_buffer("histogram", torch.full((bins,), 1.0 / bins))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.take_margin(None)

    def observe(self, distances: Tensor, pairs: Pairs) -> tuple[Tensor, Triplets | TripletBand]:
        """Return the distances (N, M) and the triplets picked."""
        pick = _closest_negatives if self.miner is None else self.miner
        return distances, pick(distances.detach(), pairs)

    def batch_terms(self, blocks: RecomputedBlocks) -> dict[str, Ratio]:
        """Return the one part of the loss: first the histogram moves, then triplets are weighed by it."""
        if self.training:
            with torch.no_grad():
                self._follow(*blocks.sum(self._values))
        # The next batch may move the histogram before this one's backward pass.
        return {"triplets": Ratio(*blocks.sum(partial(self._costs, self.histogram.clone())))}

    def _values(self, distances: Tensor, picked: Triplets | TripletBand) -> tuple[Tensor, Tensor]:
        """Return the histogram (B,) of the triplets' values, not yet divided by their number, and that."""
        counts = torch.zeros_like(self.histogram)
        number = counts.new_zeros(())
        if isinstance(picked, TripletBand):
            parts: Iterable[Tensor] = triplet_band_values(distances, picked)
        else:
            parts = [_differences(distances, picked)]
        for values in parts:
            counts += len(values) * soft_histogram(values, len(counts), self.reach).to(counts.dtype)
            number += len(values)
        return counts, number

    def _follow(self, counts: Tensor, number: Tensor) -> None:
        """Move the histogram towards that of this batch, if it has any triplets and all of them are finite."""
        momentum = torch.where(self.started, self.momentum, 1.0).to(counts.dtype)
        usable = (number > 0) & counts.isfinite().all()
        moved = self.histogram.lerp(counts / number.clamp_min(1), momentum)
        self.histogram.copy_(torch.where(usable, moved, self.histogram))
        self.started.logical_or_(usable)

    def _costs(self, histogram: Tensor, distances: Tensor, picked: Triplets | TripletBand) -> tuple[Tensor, Tensor]:
        """Return the sum over triplets, and their number."""

        def weights(values: Tensor) -> Tensor:
            return cumulative_weights(values, histogram.to(values.dtype), self.reach)

        if isinstance(picked, TripletBand):
            # What is no triplet has a value of -inf and must cost 0.
            total, _, every = triplet_band_sums(
                distances, picked, lambda v: weights(v) * v.clamp_min(-torch.finfo(v.dtype).max), weights
            )
            return total.sum(), every.sum()
        values = _differences(distances, picked)
        return (weights(values.detach()) * values).sum(), torch.ones_like(values).sum()


def _differences(distances: Tensor, triplets: Triplets) -> Tensor:
    anchor, positive, negative = triplets
    return distances[anchor, positive] - distances[anchor, negative]


def _closest_negatives(distances: Tensor, pairs: Pairs) -> Triplets:
    """For each positive pair the triplet with the anchor's closest negative; none where it has no negative."""
    if distances.shape[1] == 0:
        none = torch.zeros(0, dtype=torch.int64, device=distances.device)
        return Triplets(none, none, none)
    column = distances.masked_fill(~pairs.negative, torch.inf).argmin(dim=1)
    anchor, positive = (pairs.positive & pairs.negative.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
    return Triplets(anchor, positive, column[anchor])
