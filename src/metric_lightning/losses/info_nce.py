"""InfoNCE (van den Oord et al. 2018), as NT-Xent in SimCLR (Chen et al. 2020, A simple framework for contrastive
learning).

N anchors, M references, s (N, M) similarities, T temperature; a anchor, p positive, n negative.
"""

from typing import Literal

from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.log_sums import tuplet_costs
from metric_lightning.losses.averages import average_pairs, check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class InfoNCELoss(PairwiseLoss):
    """-log [exp(s_ap / T) / (exp(s_ap / T) + sum_n exp(s_an / T))] for each positive pair, the mean over them.

    An anchor with several positives has a softmax for each, in which its other positives play no part, as in most
    code; `SupervisedContrastiveLoss` has all of them in every denominator, and with two views of each sample and no
    other positives both are the NT-Xent of SimCLR. It gains from large batches (more negatives;
    `CrossBatchMemory`); at a small T only the hardest negatives count, mislabelled ones among them. An anchor
    without a negative doesn't count.

    Helps:
        For two views or two towers, each sample against all others; large batches give more to tell apart.

    Collapses:
        At a very low temperature only the hardest negative counts; at a high one all are pushed alike and
        little is learned.

    Args:
        temperature: T, > 0; 0.07 in MoCo, 0.1 to 0.5 in SimCLR.
        average: "pairs": over positive pairs, so that large classes weigh more; "anchors": every anchor weighs the
            same.
        distance: default cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> InfoNCELoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(0 - 1))
        tensor(0.3133)
    """

    def __init__(
        self,
        temperature: float = 0.07,
        average: Literal["pairs", "anchors"] = "pairs",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.temperature = check_positive(self, "temperature", temperature)
        self.average = check_choice(self, "average", average, ("pairs", "anchors"))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        costs, counted = tuplet_costs(self.distance.similarity(distances), pairs, 1 / self.temperature)
        return {"pairs": average_pairs(costs, counted, self.average)}


NTXentLoss = InfoNCELoss
"""The name that SimCLR gave it."""
