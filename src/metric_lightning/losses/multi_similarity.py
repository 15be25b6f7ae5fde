"""Multi-similarity loss (Wang et al. 2019, Multi-similarity loss with general pair weighting).

N anchors, M references, s (N, M) similarities; a anchor, p positive, n negative.
"""

from torch import Tensor

from metric_lightning.checks import check_finite
from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.log_sums import log_one_plus_exp, masked_logsumexp, positive_logsumexp
from metric_lightning.losses.averages import average_anchors
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class MultiSimilarityLoss(PairwiseLoss):
    """1/A log(1 + sum_p exp(-A (s_ap - t))) + 1/B log(1 + sum_n exp(B (s_an - t))), the mean over anchors.

    Anchors count that have a positive and a negative, before mining: where a miner leaves them none, they cost 0,
    as in the paper. Its companion is the multi-similarity miner. A is gentle and B steep: all positives are pulled,
    of the negatives those that are closest beyond t; with many mislabelled samples lower B.

    Helps:
        A good first choice on unseen classes: hard pairs count more, with its miner or without.

    Collapses:
        Hardly; with a scale for negatives too high for noisy labels only the noise is left.

    Args:
        positive_scale: A, > 0.
        negative_scale: B, > 0.
        threshold: t; 1 in the paper, 0.5 in the authors' and other code.
        distance: default cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> MultiSimilarityLoss(1.0, 1.0, threshold=0.5)(embeddings, torch.tensor([0, 0, 1]))  # 2 log(1 + exp(-0.5))
        tensor(0.9482)
    """

    def __init__(
        self,
        positive_scale: float = 2.0,
        negative_scale: float = 50.0,
        threshold: float = 0.5,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.positive_scale = check_positive(self, "positive_scale", positive_scale)
        self.negative_scale = check_positive(self, "negative_scale", negative_scale)
        self.threshold = check_finite(self, "threshold", threshold)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        candidates = pairs
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        similarities = self.distance.similarity(distances)
        pull = positive_logsumexp(similarities, pairs.positive, -self.positive_scale)
        push = masked_logsumexp(similarities, pairs.negative, self.negative_scale)
        if self.miner is None:
            counted = (pull > -float("inf")) & (push > -float("inf"))
        else:
            counted = candidates.positive.any(dim=1) & candidates.negative.any(dim=1)
        costs = log_one_plus_exp(pull + self.positive_scale * self.threshold) / self.positive_scale
        costs = costs + log_one_plus_exp(push - self.negative_scale * self.threshold) / self.negative_scale
        return {"anchors": average_anchors(costs, counted)}
