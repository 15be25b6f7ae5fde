"""Generalised lifted structure loss (Hermans, Beyer, Leibe 2017, In defense of the triplet loss, equation 6).

N anchors, M references, d (N, M) distances, m margin; a anchor, p positive, n negative.
"""

from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.log_sums import masked_logsumexp, positive_logsumexp
from metric_lightning.losses.averages import average_anchors
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class GeneralizedLiftedStructureLoss(PairwiseLoss):
    """max(0, log sum_p exp(d_ap) + log sum_n exp(m - d_an)), the mean over anchors.

    A smooth batch-hard: the farthest positive and the closest negative dominate. The distance itself is in the
    exponent, so that unscaled embeddings turn it into the hard one. Anchors count that have a positive and a
    negative. The original, which joins the negatives of both ends of a pair, is `LiftedStructureLoss`.

    Helps:
        Where all positives and negatives of an anchor shall pull, hard ones most, without a miner.

    Collapses:
        Its exponents single out the hardest pairs: with wrong labels, or at a high learning rate, as the
        hardest miners do.

    Args:
        margin: m, >= 0.
        distance: default Euclidean.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.5]])
        >>> GeneralizedLiftedStructureLoss(margin=1.0)(embeddings, torch.tensor([0, 0, 1]))  # 1 + 1 - 0.5
        tensor(1.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin, zero=True)
        self.take_margin(self.margin)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        farthest = positive_logsumexp(distances, pairs.positive)
        closest = masked_logsumexp(distances, pairs.negative, -1.0)
        costs = farthest + closest + self.margin
        return {"anchors": average_anchors(costs.clamp_min(0), costs > -float("inf"))}
