"""Ranked list loss (Wang et al. 2019, Ranked list loss for deep metric learning).

N anchors, M references, d (N, M) distances, m margin, b boundary of the negatives; a anchor, p positive, n negative.
"""

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.hinges import weighted_hinge_means
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.losses.averages import average_anchors
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class RankedListLoss(PairwiseLoss):
    """(1 - r) sum_p w_p (d_ap - b + m) / sum_p w_p + r sum_n w_n (b - d_an) / sum_n w_n, the mean over anchors.

    Over the positives farther than b - m with w_p = exp(T_p (d_ap - b + m)), and the negatives closer than b with
    w_n = exp(T_n (b - d_an)): a hypersphere of diameter b - m for each class, in which it may keep its variance, where
    most losses shrink it to a point. No miner: the bounds choose. Anchors count that have a positive and a negative; a
    side without a violation costs 0. The paper's embeddings have length 1: on others choose b and m in their units.

    Helps:
        Where a class shall keep its own structure: positives are pulled into a ball, not to a point.

    Collapses:
        With an inner bound near the outer one there is no place between.

    Args:
        margin: m, > 0.
        boundary: b, > m; the paper's is 1.2 with m = 0.4.
        positive_temperature: T_p, >= 0; 0: all violating positives alike.
        negative_temperature: T_n, >= 0; 10 in the paper. Larger: the closest negatives alone.
        balance: r, from 0 to 1.
        constant_weights: whether w are constants to the gradient, so that each pair is pushed by its weight; False:
            differentiated as well, as in popular code, which even attracts the mildest violators.
        distance: default Euclidean.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.5]])
        >>> RankedListLoss()(embeddings, torch.tensor([0, 0, 1]))  # 0.5 (1 - 0.8) + 0.5 (1.2 - 0.5)
        tensor(0.4500)
    """

    def __init__(
        self,
        margin: float = 0.4,
        boundary: float = 1.2,
        positive_temperature: float = 0.0,
        negative_temperature: float = 10.0,
        balance: float = 0.5,
        constant_weights: bool = True,
        distance: Distance | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, None, relevance, block_size)
        self.margin = check_positive(self, "margin", margin)
        if not margin < boundary < float("inf"):
            raise ValueError(f"RankedListLoss: boundary must be above the margin {margin}, got {boundary}")
        if not 0 <= balance <= 1:
            raise ValueError(f"RankedListLoss: balance must be from 0 to 1, got {balance}")
        self.boundary = boundary
        self.positive_temperature = check_positive(self, "positive_temperature", positive_temperature, zero=True)
        self.negative_temperature = check_positive(self, "negative_temperature", negative_temperature, zero=True)
        self.balance = balance
        self.constant_weights = constant_weights

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        chosen, filled = positive_values(distances, pairs.positive)
        far = chosen - (self.boundary - self.margin)
        pulls = weighted_hinge_means(far, filled, self.positive_temperature, self.constant_weights)
        near = self.boundary - distances
        pushes = weighted_hinge_means(near, pairs.negative, self.negative_temperature, self.constant_weights)
        counted = filled.any(dim=1) & pairs.negative.any(dim=1)
        return {"anchors": average_anchors(torch.lerp(pulls, pushes, self.balance), counted)}
