"""Tuplet margin loss (Yu & Tao 2019, Deep metric learning with tuplet margin loss).

N anchors, M references, t (N, M) angles between embeddings; a anchor, p positive, n negative, b margin, s scale.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.distances import safe_sqrt
from metric_lightning.functional.log_sums import tuplet_costs
from metric_lightning.losses.averages import average_pairs, check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio

_NOISE = 64.0


def cosine_of_reduced_angle(cosines: Tensor, angle: float) -> Tensor:
    """Return cos(t - b) of t = arccos(c), elementwise, as c cos b + sqrt(1 - c^2) sin b.

    Its slope is infinite at t = 0 and t = pi. Within rounding of those (1 - c^2 below 64 units in the last place) the
    square root counts as a constant 0, so that the gradient stays finite.

    Args:
        cosines: c, any shape.
        angle: b, radians.

    Example:
        >>> cosine_of_reduced_angle(torch.tensor([0.0, 1.0]), math.pi / 6)
        tensor([0.5000, 0.8660])
    """
    squares = 1 - cosines.square()
    sines = safe_sqrt(squares.masked_fill(squares < _NOISE * torch.finfo(cosines.dtype).eps, 0))
    return cosines * math.cos(angle) + sines * math.sin(angle)


class TupletMarginLoss(PairwiseLoss):
    """log(1 + sum_n exp(s [cos t_an - cos(t_ap - b)])), the mean over positive pairs.

    The margin slackens: a positive within the angle b is pushed no closer (it is even pushed away), which keeps
    classes from being squeezed where they vary. At the default scale almost only the hardest negative counts. The
    paper adds the intra-pair variance, here `IntraPairVarianceLoss`. An anchor without a negative doesn't count.

    Helps:
        One positive against all negatives at once, with slack for classes that vary.

    Collapses:
        At the default scale almost only the hardest negative counts: as hardest mining with wrong labels.

    Args:
        margin: b in degrees, >= 0; 5.73 (0.1 radians) as popular code has it.
        scale: s, > 0.
        average: "pairs": over positive pairs; "anchors": every anchor weighs the same.
        distance: default cosine; its similarity must be a cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> TupletMarginLoss(margin=60.0, scale=2.0)(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(2 (0 - 0.5)))
        tensor(0.3133)
    """

    def __init__(
        self,
        margin: float = 5.73,
        scale: float = 64.0,
        average: Literal["pairs", "anchors"] = "pairs",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin, zero=True, most=180)
        self.scale = check_positive(self, "scale", scale)
        self.average = check_choice(self, "average", average, ("pairs", "anchors"))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        angle = math.radians(self.margin)
        costs, counted = tuplet_costs(
            self.distance.similarity(distances), pairs, self.scale, lambda c: cosine_of_reduced_angle(c, angle)
        )
        return {"pairs": average_pairs(costs, counted, self.average)}
