"""Threshold-consistent margin loss (Zhang et al. 2024, for open-world deep metric learning).

N anchors, M references, s (N, M) similarities; a anchor, p positive, n negative.
"""

from torch import Tensor

from metric_lightning.checks import check_finite
from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.hinges import hinge_sums
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class ThresholdConsistentMarginLoss(PairwiseLoss):
    """v mean_p (k - s_ap) + w mean_n (s_an - m), over positive pairs with s_ap < k, negative ones with s_an > m.

    A regulariser beside another loss: by holding the hard pairs of every class to the same two bounds, one threshold
    fits all classes, which verification needs. Each mean is over its hard pairs in the batch, so that few of them weigh
    much; alone it stops as soon as the bounds are met.

    Helps:
        Beside another loss, when one threshold must serve all classes.

    Collapses:
        Alone it stops as soon as its bounds are met.

    Args:
        positive_margin: k.
        negative_margin: m.
        positive_weight: v, >= 0.
        negative_weight: w, >= 0.
        distance: default cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
        >>> ThresholdConsistentMarginLoss()(embeddings, torch.tensor([0, 0, 1]))  # 0.9 - 0 + (0.1 + 0.3) / 2
        tensor(1.1000)
    """

    def __init__(
        self,
        positive_margin: float = 0.9,
        negative_margin: float = 0.5,
        positive_weight: float = 1.0,
        negative_weight: float = 1.0,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.positive_margin = check_finite(self, "positive_margin", positive_margin)
        self.negative_margin = check_finite(self, "negative_margin", negative_margin)
        self.positive_weight = check_positive(self, "positive_weight", positive_weight, zero=True)
        self.negative_weight = check_positive(self, "negative_weight", negative_weight, zero=True)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        similarities = self.distance.similarity(distances)
        chosen, filled = positive_values(similarities, pairs.positive)
        far, far_count = hinge_sums(self.positive_margin - chosen, filled)
        near, near_count = hinge_sums(similarities - self.negative_margin, pairs.negative)
        return {
            "positive": Ratio(self.positive_weight * far, far_count),
            "negative": Ratio(self.negative_weight * near, near_count),
        }
