"""Neighbourhood components analysis (Goldberger et al. 2005).

N anchors, M references, d (N, M) squared distances; a anchor, p positive, j any other sample.
"""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import Distance, SquaredEuclideanDistance
from metric_lightning.functional.log_sums import log_one_plus_exp, masked_logsumexp, positive_logsumexp
from metric_lightning.losses.averages import average_anchors, check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class NCALoss(PairwiseLoss):
    """-log p_a, p_a = sum_p exp(-s d_ap) / sum_j exp(-s d_aj), the mean over anchors that have a positive.

    p_a is the chance that a random neighbour of the anchor, drawn by distance, has its class; j is not the anchor
    itself. One close positive is enough, so classes may have several clusters. The paper maximises the sum of p_a
    and names that of log p_a as the other choice, which popular code takes, and so do we: p_a has no gradient at
    anchors that are far wrong. Distances of unscaled embeddings saturate the softmax: choose s for them.

    Helps:
        Where classes have several clusters: one close positive is enough.

    Collapses:
        With distances large beside the scale each anchor sees one neighbour only, and most gradients vanish.

    Args:
        scale: s, > 0.
        objective: "log": -log p_a; "probability": 1 - p_a, the expected leave-one-out error.
        distance: default squared Euclidean.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[0.0], [0.0], [1.0]])
        >>> NCALoss()(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(0 - 1))
        tensor(0.3133)
    """

    def __init__(
        self,
        scale: float = 1.0,
        objective: Literal["log", "probability"] = "log",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(SquaredEuclideanDistance() if distance is None else distance, miner, relevance, block_size)
        self.scale = check_positive(self, "scale", scale)
        self.objective = check_choice(self, "objective", objective, ("log", "probability"))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        # A similarity of 1 - d instead of -d (cosine) leaves the shares as they are.
        positive = positive_logsumexp(distances, pairs.positive, -self.scale)
        negative = masked_logsumexp(distances, pairs.negative, -self.scale)
        counted = positive > -torch.inf
        odds = negative - positive.masked_fill(~counted, 0)
        costs = log_one_plus_exp(odds) if self.objective == "log" else odds.sigmoid()
        return {"anchors": average_anchors(costs, counted)}
