"""Smooth-AP (Brown et al. 2020, Smooth-AP: smoothing the path towards large-scale image retrieval).

N anchors, M references, s (N, M) similarities, T temperature, S(x) = 1 / (1 + exp(-x / T)); a anchor, P its positives.
"""

import torch
from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.smooth_ranks import smooth_precision_sums
from metric_lightning.losses.averages import average_anchors
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class SmoothAPLoss(PairwiseLoss):
    """1 - 1/|P| sum_p R(p, positives) / R(p, all), R(p, J) = 1 + sum_{j in J, j != p} S(s_aj - s_ap).

    One minus average precision with the step of each comparison smoothed, the mean over anchors that have a
    positive. Classes may differ in size. A list-wise loss: it wants large batches, and at a small T the gradient
    vanishes where similarities are far apart. Time grows with the positives of an anchor.

    Helps:
        For ranking in large batches: average precision itself, smoothed.

    Collapses:
        At a small temperature where similarities are far apart: the gradient vanishes while the loss stands.

    Args:
        temperature: T, > 0.
        count_anchor: whether the anchor itself heads its own list as one more positive, at similarity 1, as in the
            authors' and other code; the paper, and we, leave it out.
        distance: default cosine.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
        >>> SmoothAPLoss()(embeddings, torch.tensor([0, 0, 1]))  # 1 - 1/2: the negative comes first for both
        tensor(0.5000)
    """

    def __init__(
        self,
        temperature: float = 0.01,
        count_anchor: bool = False,
        distance: Distance | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, None, relevance, block_size)
        self.temperature = check_positive(self, "temperature", temperature)
        self.count_anchor = count_anchor

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        similarities, positive = self.distance.similarity(distances), pairs.positive
        valid = positive | pairs.negative
        number = row_counts(positive, distances.dtype)
        counted = number > 0
        if self.count_anchor:
            similarities = torch.cat([similarities, torch.ones_like(similarities[:, :1])], dim=1)
            positive = torch.cat([positive, counted[:, None]], dim=1)
            valid = torch.cat([valid, counted[:, None]], dim=1)
            number = number + 1
        sums = smooth_precision_sums(similarities, positive, valid, self.temperature)
        return {"anchors": average_anchors(1 - sums / number.clamp_min(1), counted)}
