"""Cross-entropy of "same" or "different", pair by pair (Koch et al. 2015, Siamese neural networks for one-shot image
recognition).

N anchors, M references, d (N, M) distances; P(same) = 1 / (1 + exp(d)).
"""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import Distance, WeightedL1Distance
from metric_lightning.functional.log_sums import log_one_plus_exp
from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.slopes import with_slopes
from metric_lightning.losses.averages import average_sides, check_choice
from metric_lightning.losses.base import PairwiseLoss
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class PairCrossEntropyLoss(PairwiseLoss):
    """log(1 + exp(d)) for a positive pair, log(1 + exp(-d)) for a negative one: a logistic regression on pairs.

    With the default distance, learned weights on the components of |x - y| and a bias, this is the verification net of
    Koch et al. 2015 (who also add a penalty on the weights of each layer: `callbacks.LayerwiseL2`). On batches of given
    pairs (`SiameseModule` with `PairBatches`) it is the paper's; on labelled batches it takes all their pairs.

    Minus the distance is the learned score of a pair, and `loss.distance` what to judge pairs by: metrics do so with
    `distance: loss`.

    Helps:
        Where a pair must be judged by itself, with a probability: verification, one-shot trials, the last word on
        what a search has found.

    Collapses:
        Starts near log 2 with all distances near 0, and stays there for long: begin with larger weights and a negative
        bias (see `WeightedL1Distance`). With many negatives and `pairs`, "different" becomes the answer to everything.

    Args:
        average: "pairs": the mean over all pairs, as the paper, whose batches hold as many of either kind; "sides": the
            mean over positives plus the mean over negatives, for batches with many more negatives.
        distance: default `WeightedL1Distance`. A distance that can't be negative says "same" with at most 1/2.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> loss = PairCrossEntropyLoss(distance=WeightedL1Distance(embedding_dim=1))
        >>> loss(torch.tensor([[0.0], [0.0]]), torch.tensor([0, 0])).detach()  # log 2
        tensor(0.6931)
    """

    def __init__(
        self,
        average: Literal["pairs", "sides"] = "pairs",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(WeightedL1Distance() if distance is None else distance, miner, relevance, block_size)
        self.average = check_choice(self, "average", average, ("pairs", "sides"))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        fixed = distances.detach()
        pairs = pairs if self.miner is None else self.miner(fixed, pairs)
        signs = torch.where(pairs.positive, fixed.new_ones(()), -1)
        logits = fixed * signs

        def share(mask: Tensor) -> Ratio:
            kept = logits.masked_fill(~mask, -torch.inf)  # which costs nothing, and pulls nothing
            total = log_one_plus_exp(kept).sum(dim=1)
            return Ratio(with_slopes(total, kept.sigmoid_().mul_(signs), distances), row_counts(mask, fixed.dtype))

        return average_sides(share, pairs, self.average)
