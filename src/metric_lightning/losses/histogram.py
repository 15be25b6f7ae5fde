"""Histogram loss (Ustinova & Lempitsky 2016, Learning deep embeddings with histogram loss).

s (N, M) similarities from -1 to 1; h+ and h- the histograms of all positive and all negative pairs, L bins.
"""

import torch
from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.functional.soft_histogram import soft_histogram
from metric_lightning.losses.recomputed_blocks import RecomputedBlocks
from metric_lightning.losses.whole_batch import WholeBatchLoss
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class HistogramLoss(WholeBatchLoss):
    """sum_j h-_j sum_{i <= j} h+_i: how likely a random negative pair is more similar than a random positive one.

    Of the two distributions over the whole batch, each summing to 1: `row_wise` is False. Nearly free of parameters to
    choose; it knows no single anchor, so that pairs of different anchors are compared with one another, and goes on
    only while the distributions overlap. 0 where there is no positive or no negative pair.

    Helps:
        When nothing shall be tuned: it has no margin and no scale.

    Collapses:
        In small batches the histograms are noise; pairs of different anchors are compared, so one scale must
        serve all classes.

    Args:
        bins: L, >= 1, over similarities from -1 to 1; what lies outside counts at the nearest end.
        distance: default cosine; its similarity must be a cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `WholeBatchLoss`.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> HistogramLoss()(embeddings, torch.tensor([0, 0, 1]))  # positives at 0, negatives at 0 and 1
        tensor(1.)
    """

    def __init__(
        self,
        bins: int = 100,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.bins = check_whole(self, "bins", bins)

    def batch_terms(self, blocks: RecomputedBlocks) -> dict[str, Ratio]:
        """Return the one part of the loss, made of the two histograms."""
        positive, negative = blocks.sum(self._histograms)
        count = positive.detach().sum() * negative.detach().sum()
        total = (negative * positive.cumsum(0)).sum() / count.masked_fill(count == 0, 1)
        return {"batch": Ratio(total, torch.sign(count))}

    def _histograms(self, distances: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Return the histogram of positives and that of negatives (L + 1,)."""
        positions = (self.distance.similarity(distances) + 1) * (self.bins / 2)
        positive = soft_histogram(*positive_values(positions, pairs.positive), self.bins)
        return positive, soft_histogram(positions, pairs.negative, self.bins)
