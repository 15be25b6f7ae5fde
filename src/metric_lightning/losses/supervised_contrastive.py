"""Supervised contrastive loss (Khosla et al. 2020, Supervised contrastive learning).

N anchors, M references, s (N, M) similarities, T temperature; a anchor, P its positives, p one of them, j any other
sample.
"""

from typing import Literal

from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.log_sums import masked_logsumexp, positive_values
from metric_lightning.losses.averages import average_anchors, check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class SupervisedContrastiveLoss(PairwiseLoss):
    """-1/|P| sum_p log [exp(s_ap / T) / sum_j exp(s_aj / T)], the mean over anchors that have a positive.

    j runs over positives and negatives, not the anchor itself. The logarithm is taken of each positive (L_out), the
    paper's choice; its other form, L_in, takes it of their mean, which lets one close positive make up for far
    ones. The authors' code multiplies by T / 0.07, a matter of the learning rate. Positives compete with one
    another in the denominator: the loss is never 0 where there are two, and pulls classes together to points.

    Helps:
        In large batches with several samples a class; robust, and no miner is needed.

    Collapses:
        Classes are pulled to points, which costs structure within them; at a low temperature noise leads.

    Args:
        temperature: T, > 0.
        logarithm: "each": L_out; "mean": L_in, -log [1/|P| sum_p exp(s_ap / T) / sum_j exp(s_aj / T)].
        distance: default cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> SupervisedContrastiveLoss(temperature=1.0)(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(0 - 1))
        tensor(0.3133)
    """

    def __init__(
        self,
        temperature: float = 0.1,
        logarithm: Literal["each", "mean"] = "each",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.temperature = check_positive(self, "temperature", temperature)
        self.logarithm = check_choice(self, "logarithm", logarithm, ("each", "mean"))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        similarities = self.distance.similarity(distances)
        positives, filled = positive_values(similarities, pairs.positive)
        counts = filled.sum(dim=1, dtype=distances.dtype)
        if self.logarithm == "each":
            pulled = positives.masked_fill(~filled, 0).sum(dim=1) / counts.clamp_min(1) / self.temperature
        else:
            pulled = masked_logsumexp(positives, filled, 1 / self.temperature) - counts.log()
        others = masked_logsumexp(similarities, pairs.positive | pairs.negative, 1 / self.temperature)
        return {"anchors": average_anchors(others - pulled, counts > 0)}
