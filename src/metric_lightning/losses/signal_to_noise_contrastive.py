"""Signal-to-noise contrastive loss (Yuan et al. 2019, Signal-to-noise ratio: a robust distance metric).

N anchors, M references, D dimensions, d (N, M) = var(x_a - y) / var(x_a), m margin; a anchor, p positive, n negative.
"""

from typing import Literal

from torch import Tensor

from metric_lightning.distances import Distance, SignalToNoiseDistance
from metric_lightning.functional.hinges import hinge_sums
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.functional.pairs import row_counts
from metric_lightning.losses.averages import check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class SignalToNoiseContrastiveLoss(PairwiseLoss):
    """max(0, d_ap - k) for positive pairs, max(0, m - d_an) for negative ones, plus the mean of w |sum_i x_ai|.

    The other sample is the anchor plus noise, and d the inverse of the signal-to-noise ratio: not symmetric, unmoved by
    a common scale. The regulariser draws the mean of each embedding's components to 0, which the derivation assumes. An
    anchor with almost no variance has enormous distances; popular code scales embeddings to length 1 first.

    Helps:
        Where a sample is compared with itself and noise, at any common scale.

    Collapses:
        When an anchor's components hardly vary, its distances are enormous; scale embeddings to length 1 first.

    Args:
        margin: m, > 0.
        positive_margin: k, >= 0; 0 in the paper.
        average: "sides": the mean over positive pairs plus the mean over negative ones; "active": likewise, over the
            pairs that cost something, as popular code does; "pairs": one mean over all pairs.
        mean_weight: w, >= 0, of the regulariser; 0, as in most code: none.
        distance: default signal-to-noise.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, -1.0], [1.0, -1.0], [2.0, -2.0]])
        >>> loss = SignalToNoiseContrastiveLoss(margin=1.25)
        >>> loss(embeddings, torch.tensor([0, 0, 1]))  # 0 + (0.25 + 0.25 + 1 + 1) / 4
        tensor(0.6250)
    """

    def __init__(
        self,
        margin: float = 1.0,
        positive_margin: float = 0.0,
        average: Literal["sides", "active", "pairs"] = "sides",
        mean_weight: float = 0.0,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(SignalToNoiseDistance() if distance is None else distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin)
        self.positive_margin = check_positive(self, "positive_margin", positive_margin, zero=True)
        self.average = check_choice(self, "average", average, ("sides", "active", "pairs"))
        self.mean_weight = check_positive(self, "mean_weight", mean_weight, zero=True)
        self.take_margin(self.margin)

    def block_terms(self, x: Tensor, y: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums, of the regulariser too."""
        terms = super().block_terms(x, y, labels, pairs)
        if self.mean_weight:
            counted = (pairs.positive | pairs.negative).any(dim=1).to(x.dtype)
            terms["means"] = Ratio(self.mean_weight * x.sum(dim=1).abs() * counted, counted)
        return terms

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        chosen, filled = positive_values(distances, pairs.positive)
        far, far_count = hinge_sums(chosen - self.positive_margin, filled)
        near, near_count = hinge_sums(self.margin - distances, pairs.negative)
        if self.average != "active":
            far_count, near_count = (row_counts(mask, far.dtype) for mask in (filled, pairs.negative))
        if self.average == "pairs":
            return {"pairs": Ratio(far + near, far_count + near_count)}
        return {"positive": Ratio(far, far_count), "negative": Ratio(near, near_count)}
