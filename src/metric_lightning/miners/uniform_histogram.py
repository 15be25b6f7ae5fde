"""Pairs of all distances in equal numbers: as many of each bin of a histogram."""

import torch
from torch import Tensor

from metric_lightning.functional.draws import draw_of_groups
from metric_lightning.functional.hashing import random_bits
from metric_lightning.miners.base import PairMiner, RandomKeys, ready_keys
from metric_lightning.types import Pairs


class UniformHistogram(PairMiner):
    """Positive and negative pairs whose distances are spread evenly between the smallest and the largest.

    The distances of each side are put into bins of equal width, and of each bin the same number of pairs is drawn
    without replacement, all where it has fewer. Rare distances, most of what is worth learning, so weigh as much as the
    many in the middle. The bins are those of the whole batch (`row_wise` is False).

    A side without pairs stays without.

    Helps:
        Where rare distances shall weigh as much as the many in the middle.

    Collapses:
        In small batches, where most bins are empty.

    Args:
        bins: how many, for each side.
        positives_per_bin: at least 1.
        negatives_per_bin: at least 1.
        seed: of the draws; each training step draws anew.

    Raises:
        ValueError: bins, positives_per_bin or negatives_per_bin below 1.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, False, False, False]]), torch.tensor([[False, True, True, True]]))
        >>> miner = UniformHistogram(bins=2, negatives_per_bin=1)
        >>> miner(torch.tensor([[0.1, 0.4, 0.5, 0.9]]), pairs).negative.sum()  # one of 0.4 and 0.5, and 0.9
        tensor(2)
    """

    row_wise = False

    def __init__(self, bins: int = 100, positives_per_bin: int = 10, negatives_per_bin: int = 10, seed: int = 0):
        super().__init__()
        if min(bins, positives_per_bin, negatives_per_bin) < 1:
            raise ValueError(
                "UniformHistogram: bins, positives_per_bin and negatives_per_bin must be at least 1, "
                f"got {bins}, {positives_per_bin} and {negatives_per_bin}"
            )
        self.bins = bins
        self.positives_per_bin = positives_per_bin
        self.negatives_per_bin = negatives_per_bin
        self.random = RandomKeys(seed)

    def keys(self, anchors: Tensor) -> Tensor:
        """Return the random keys (N,) of this step."""
        return self.random(anchors)

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return the pairs drawn."""
        bits = random_bits(ready_keys(self.random, pairs), distances.shape[1])
        positive = self._draw(distances, pairs.positive, bits, self.positives_per_bin)
        return pairs._replace(
            positive=positive, negative=self._draw(distances, pairs.negative, bits, self.negatives_per_bin)
        )

    def _draw(self, distances: Tensor, mask: Tensor, bits: Tensor, number: int) -> Tensor:
        drawn = torch.zeros_like(mask)
        places = mask.reshape(-1).nonzero()[:, 0]
        if not len(places):
            return drawn
        values = distances.reshape(-1).index_select(0, places)
        low, high = values.aminmax()
        # Distances that are all equal make one bin.
        width = ((high - low) / self.bins).masked_fill(high <= low, 1)
        bins = values.sub_(low).div_(width).to(torch.int64).clamp_(0, self.bins - 1)  # NaN is no place, and goes to 0
        sizes = torch.bincount(bins, minlength=self.bins)
        drawn.view(-1)[places[draw_of_groups(bins, bits.view(-1).index_select(0, places), sizes, number)]] = True
        return drawn
