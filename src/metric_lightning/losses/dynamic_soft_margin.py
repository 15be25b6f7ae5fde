"""Dynamic soft margin (Zhang & Rusinkiewicz 2019, Learning local descriptors with a CDF-based dynamic soft margin).

N anchors, M references, T triplets; v (T,) d_ap - d_an, its histogram of B bins over [-r, r].
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.distances import euclidean_distances
from metric_lightning.functional.triplet_bands import triplet_band_sums, triplet_band_values
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import PairwiseLoss, check_positive
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
    upper = (place - low) / max(1, len(values))
    shares = values.new_zeros(bins).index_add(0, low.long(), 1.0 / max(1, len(values)) - upper)
    return shares.index_add(0, (low.long() + 1).clamp_max(bins - 1), upper)


def cumulative_weights(values: Tensor, histogram: Tensor, reach: float) -> Tensor:
    """Return the share (T,) of the histogram (B,) up to the point below each value.

    Example:
        >>> cumulative_weights(torch.tensor([-1.0, 0.5]), torch.tensor([0.5, 0.25, 0.25]), reach=1.0)
        tensor([0.5000, 0.7500])
    """
    return histogram.cumsum(0)[_place(values, len(histogram), reach).long()]


def _place(values: Tensor, bins: int, reach: float) -> Tensor:
    return ((values + reach) * ((bins - 1) / (2 * reach))).clamp(0, bins - 1)


class DynamicSoftMarginLoss(PairwiseLoss):
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
        miner: picks triplets; None: the closest negative for each positive pair. Those of a band (`TripletMargin`) are
            never listed: two passes over N x M for each of an anchor's positives, in O(N x M) memory.
        relevance: what makes a pair positive; None: equal labels.

    Example:
        >>> loss = DynamicSoftMarginLoss(bins=3)
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
        >>> loss(embeddings, torch.tensor([0, 0, 1]))  # v is -0.59 and 0; w 0.15 and 1
        tensor(-0.0429)
    """

    row_wise = False
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
    ):
        super().__init__(UnitEuclideanDistance() if distance is None else distance, miner, relevance, None)
        if bins < 2:
            raise ValueError(f"DynamicSoftMarginLoss: bins must be at least 2, got {bins}")
        if not 0 < momentum <= 1:
            raise ValueError(f"DynamicSoftMarginLoss: momentum must be above 0 and at most 1, got {momentum}")
        self.momentum = momentum
        self.reach = check_positive(self, "reach", reach)
        self.register_buffer("histogram", torch.full((bins,), 1.0 / bins))
        self.register_buffer("started", torch.zeros((), dtype=torch.bool))
        self.take_margin(0.0)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pick = _closest_negatives if self.miner is None else self.miner
        picked = pick(distances.detach(), pairs)
        if isinstance(picked, TripletBand):
            return {"triplets": self._of_band(distances, picked)}
        anchor, positive, negative = picked
        values = distances[anchor, positive] - distances[anchor, negative]
        if self.training:
            self._observe([values.detach()])
        costs = self._weights(values.detach()) * values
        zeros = distances.new_zeros(len(distances))
        return {"triplets": Ratio(zeros.index_add(0, anchor, costs), torch.bincount(anchor, minlength=len(zeros)))}

    def _of_band(self, distances: Tensor, band: TripletBand) -> Ratio:
        if self.training:
            self._observe(triplet_band_values(distances.detach(), band))
        # What is no triplet has a value of -inf and must cost 0.
        total, _, every = triplet_band_sums(
            distances, band, lambda v: self._weights(v) * v.clamp_min(-torch.finfo(v.dtype).max), self._weights
        )
        return Ratio(total, every)

    def _weights(self, values: Tensor) -> Tensor:
        return cumulative_weights(values, self.histogram.to(values.dtype), self.reach)

    def _observe(self, parts: Iterable[Tensor]) -> None:
        """Move the histogram towards that of the values in all parts, if there are any."""
        newest, number = torch.zeros_like(self.histogram), 0
        for values in parts:
            newest += len(values) * soft_histogram(values, len(self.histogram), self.reach).to(newest.dtype)
            number += len(values)
        if not number:
            return
        newest /= number
        self.histogram.lerp_(newest, torch.where(self.started, self.momentum, 1.0).to(newest.dtype))
        self.started.fill_(True)


def _closest_negatives(distances: Tensor, pairs: Pairs) -> Triplets:
    """For each positive pair the triplet with the anchor's closest negative; none where it has no negative."""
    if distances.shape[1] == 0:
        none = torch.zeros(0, dtype=torch.int64, device=distances.device)
        return Triplets(none, none, none)
    column = distances.masked_fill(~pairs.negative, torch.inf).argmin(dim=1)
    anchor, positive = (pairs.positive & pairs.negative.any(dim=1, keepdim=True)).nonzero(as_tuple=True)
    return Triplets(anchor, positive, column[anchor])
