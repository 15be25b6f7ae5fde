"""Intra-pair variance loss (Yu & Tao 2019, Deep metric learning with tuplet margin loss, section 3.3).

s (N, M) similarities; p a positive pair, n a negative one, anywhere in the batch.
"""

from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.hinges import squared_hinge_sums
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.functional.pairs import row_counts
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class IntraPairVarianceLoss(PairwiseLoss):
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

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.6, 0.8]])
        >>> loss = IntraPairVarianceLoss(positive_tolerance=0.0, negative_tolerance=0.0)
        >>> loss(embeddings, torch.tensor([0, 0, 0]))  # cosines 1, 0.6, 0.6 around 2.2 / 3
        tensor(0.0119)
    """

    row_wise = False

    def __init__(
        self,
        positive_tolerance: float = 0.01,
        negative_tolerance: float = 0.01,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance)
        self.positive_tolerance = check_positive(self, "positive_tolerance", positive_tolerance, zero=True)
        self.negative_tolerance = check_positive(self, "negative_tolerance", negative_tolerance, zero=True)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums, which are of the whole batch."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        similarities = self.distance.similarity(distances)
        chosen, filled = positive_values(similarities, pairs.positive)
        positives, negatives = (row_counts(mask, distances.dtype) for mask in (filled, pairs.negative))
        low = (1 - self.positive_tolerance) * _mean(chosen, filled, positives)
        high = (1 + self.negative_tolerance) * _mean(similarities, pairs.negative, negatives)
        return {
            "positive": Ratio(squared_hinge_sums(low - chosen, filled), positives),
            "negative": Ratio(squared_hinge_sums(similarities - high, pairs.negative), negatives),
        }


def _mean(values: Tensor, mask: Tensor, counts: Tensor) -> Tensor:
    return values.masked_fill(~mask, 0).sum() / counts.sum().clamp_min(1)
