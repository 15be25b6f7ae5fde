"""Circle loss (Sun et al. 2020, Circle loss: a unified perspective of pair similarity optimization).

N anchors, M references, s (N, M) similarities, m margin, g scale; a anchor, p positive, n negative.
"""

from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.log_sums import log_one_plus_exp, masked_logsumexp, positive_values
from metric_lightning.losses.averages import average_anchors
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class CircleLoss(PairwiseLoss):
    """log(1 + sum_n exp(g w_n (s_an - m)) sum_p exp(-g w_p (s_ap - 1 + m))), the mean over anchors.

    w_p = max(0, 1 + m - s_ap) and w_n = max(0, s_an + m) are constants to the gradient, as in the paper: a
    similarity is moved the faster the farther it is from its optimum. Anchors count that have a positive and a
    negative. The cosines must not be far apart by chance: at a large g the first steps are made by a few pairs, so
    start from a pretrained network or a small g.

    Helps:
        Where positives and negatives are at different stages: the farther a similarity is from its optimum, the
        faster it moves.

    Collapses:
        At a large scale a few pairs make the first steps; from a random start lower it.

    Args:
        margin: m, > 0; 0.25 for faces and people, 0.4 for fine-grained retrieval in the paper.
        scale: g, > 0; 256 for faces, 128 for people, 80 for fine-grained retrieval in the paper.
        distance: default cosine; its similarity must be a cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> CircleLoss(margin=0.5, scale=2.0)(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(-0.5) exp(-0.5))
        tensor(0.3133)
    """

    def __init__(
        self,
        margin: float = 0.4,
        scale: float = 80.0,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin)
        self.scale = check_positive(self, "scale", scale)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        similarities = self.distance.similarity(distances)
        positives, filled = positive_values(similarities, pairs.positive)
        pulls = (1 + self.margin - positives.detach()).clamp_min(0) * (positives - (1 - self.margin))
        pushes = (similarities.detach() + self.margin).clamp_min(0) * (similarities - self.margin)
        logsum = masked_logsumexp(pulls, filled, -self.scale) + masked_logsumexp(pushes, pairs.negative, self.scale)
        return {"anchors": average_anchors(log_one_plus_exp(logsum), logsum > -float("inf"))}
