"""Distance-weighted sampling (Wu, Manmatha, Smola, Kraehenbuehl 2017, Sampling matters in deep embedding learning)."""

import torch
from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.functional.hashing import pair_keys, random_below
from metric_lightning.functional.pairs import positive_slots
from metric_lightning.miners.base import RandomKeys, TripletMiner, ready_keys
from metric_lightning.types import Pairs, Triplets

_FAR = 1e30  # beyond any logarithm of a weight


class DistanceWeighted(TripletMiner):
    """For each positive pair a random negative, all distances about as likely as one another.

    Between points spread over the unit sphere in D dimensions, distances d have the density
    q(d) ~ d^(D-2) (1 - d^2 / 4)^((D-3)/2), which for large D is nearly all around sqrt(2): uniform draws see no near
    negatives, and the nearest ones are mostly noise. Here a negative has the weight 1 / q(max(d, cutoff)), so that the
    draw spreads over all distances; those from `limit` on, which cost nothing in the paper's margin loss, have none.
    For Euclidean distances of embeddings of length 1. Anchors without a negative below `limit` give no triplet.

    Helps:
        With `MarginLoss` on unit embeddings of many dimensions, where random negatives are all equally far.

    Collapses:
        With no negative nearer than `limit` an anchor gives nothing; distances other than Euclidean on the
        sphere.

    Args:
        cutoff: distances below count as this one, which bounds the weight of the nearest; above 0.
        limit: distance from which a negative is not drawn; above `cutoff`, at most 2.
        dimensions: D; None: those of the loss's embeddings.
        seed: of the draws; each training step draws anew.

    Raises:
        ValueError: cutoff and limit are out of order, or dimensions below 1; called, the dimensions are not known.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> DistanceWeighted(dimensions=8)(torch.tensor([[0.1, 0.3, 0.7, 1.9]]), pairs)  # 1.9 is beyond the limit
        Triplets(anchor=tensor([0, 0]), positive=tensor([0, 1]), negative=tensor([2, 2]))
    """

    def __init__(self, cutoff: float = 0.5, limit: float = 1.4, dimensions: int | None = None, seed: int = 0):
        super().__init__()
        if not 0 < cutoff < limit <= 2:
            raise ValueError(f"DistanceWeighted: 0 < cutoff < limit <= 2 must hold, got {cutoff} and {limit}")
        self.cutoff = cutoff
        self.limit = limit
        self.dimensions = None if dimensions is None else check_whole(self, "dimensions", dimensions)
        self.dimensions_used = self.dimensions
        self.random = RandomKeys(seed)

    def use_dimensions(self, dimensions: int) -> None:
        """Take the dimension of the loss's embeddings where none was given."""
        if self.dimensions is None:
            self.dimensions_used = dimensions

    def keys(self, anchors: Tensor) -> Tensor:
        """Return the random keys (N,) of this step."""
        return self.random(anchors)

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each positive pair."""
        keys = ready_keys(self.random, pairs)
        columns, filled = positive_slots(pairs.positive)
        if not columns.shape[1]:
            none = columns.reshape(-1)
            return Triplets(none, none, none)
        summed = self._weights(distances, pairs.negative).cumsum(dim=1, dtype=torch.float64)
        share = random_below(pair_keys(keys[:, None], columns), 2**31) / 2.0**31
        # The first column whose sum is above the share: one without weight never is.
        negative = torch.searchsorted(summed, share * summed[:, -1:], right=True)
        anchor, slot = (filled & (summed[:, -1:] > 0)).nonzero(as_tuple=True)
        return Triplets(anchor, columns[anchor, slot], negative[anchor, slot])

    def _weights(self, distances: Tensor, negative: Tensor) -> Tensor:
        if self.dimensions_used is None:
            raise ValueError("DistanceWeighted: dimensions is not known outside of a loss; give it")
        # As numbers: masks that follow no pattern are slow to apply.
        drawable = torch.lt(distances, self.limit, out=torch.empty_like(distances)).masked_fill_(~negative, 0)
        used = distances.clamp(self.cutoff, self.limit)
        opposite = (1 - used.square() / 4).clamp_min_(torch.finfo(used.dtype).eps)
        logs = used.log_().mul_(2 - self.dimensions_used).sub_(opposite.log_(), alpha=(self.dimensions_used - 3) / 2)
        logs += (drawable - 1) * _FAR
        # Below exp(-80) a weight is never drawn, and would be a slow, denormal number.
        return logs.sub_(logs.amax(dim=1, keepdim=True)).clamp_min_(-80).exp_().mul_(drawable)
