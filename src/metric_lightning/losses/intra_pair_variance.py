"""Intra-pair variance loss (Yu & Tao 2019, Deep metric learning with tuplet margin loss, section 3.3).

s (N, M) similarities; p a positive pair, n a negative one, anywhere in the batch.
"""

from functools import partial

from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.hinges import squared_hinge_sums
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.recomputed_blocks import RecomputedBlocks
from metric_lightning.losses.whole_batch import WholeBatchLoss
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class IntraPairVarianceLoss(WholeBatchLoss):
    """mean_p max(0, (1 - e) m - s_p)^2 + mean_n max(0, s_n - (1 + f) k)^2, m and k the means of s_p and s_n.

    The means are over the whole batch: `row_wise` is False. They take part in the gradient. A regulariser beside
    another loss (the paper: tuplet margin), for nothing here tells positives from negatives: alone it is 0 at a
    point. Bounds that scale a mean suit positive similarities; where k is negative, (1 + f) k lies below it, as in
    popular code.

    Helps:
        Beside another loss, to make pairs of a kind equally close.

    Collapses:
        Alone: pairs that are equally close in one point satisfy it. See the picture from the collapsed start.

    Args:
        positive_tolerance: e, >= 0.
        negative_tolerance: f, >= 0.
        distance: default cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `WholeBatchLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
        >>> loss = IntraPairVarianceLoss(positive_tolerance=0.0, negative_tolerance=0.0)
        >>> loss(embeddings, torch.tensor([0, 0, 0]))  # cosines 1, 0.6, 0.6 around 2.2 / 3
        tensor(0.0119)
    """

    def __init__(
        self,
        positive_tolerance: float = 0.01,
        negative_tolerance: float = 0.01,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.positive_tolerance = check_positive(self, "positive_tolerance", positive_tolerance, zero=True)
        self.negative_tolerance = check_positive(self, "negative_tolerance", negative_tolerance, zero=True)

    def observe(self, distances: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the similarities of positives with which of them count (N, P), and all (N, M) with the negatives."""
        distances, pairs = super().observe(distances, pairs)
        similarities = self.distance.similarity(distances)
        return *positive_values(similarities, pairs.positive), similarities, pairs.negative

    def batch_terms(self, blocks: RecomputedBlocks) -> dict[str, Ratio]:
        """Return the parts of the loss: first the means, then the costs around them."""
        positive, positives, negative, negatives = blocks.sum(_sums)
        low = (1 - self.positive_tolerance) * positive / positives.clamp_min(1)
        high = (1 + self.negative_tolerance) * negative / negatives.clamp_min(1)
        below, above = blocks.sum(partial(_costs, low, high))
        return {"positive": Ratio(below, positives), "negative": Ratio(above, negatives)}


def _sums(chosen: Tensor, filled: Tensor, similarities: Tensor, negative: Tensor) -> tuple[Tensor, ...]:
    """Return the sum of the positives' similarities, their number, and the same of the negatives."""
    positives, negatives = (mask.sum(dtype=chosen.dtype) for mask in (filled, negative))
    return chosen.masked_fill(~filled, 0).sum(), positives, similarities.masked_fill(~negative, 0).sum(), negatives


def _costs(
    low: Tensor, high: Tensor, chosen: Tensor, filled: Tensor, similarities: Tensor, negative: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the sum of the costs of positives below `low`, and that of negatives above `high`."""
    below, above = squared_hinge_sums(low - chosen, filled), squared_hinge_sums(similarities - high, negative)
    return below.sum(), above.sum()
