"""Angular loss (Wang et al. 2017, Deep metric learning with angular loss).

N anchors, M references, s (N, M) cosines, t = tan(angle)^2; a anchor, p positive, n negative.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import CosineDistance
from metric_lightning.functional.log_sums import log_one_plus_exp
from metric_lightning.functional.row_products import row_products
from metric_lightning.losses.averages import check_choice
from metric_lightning.losses.base import PairwiseLoss
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio

_LARGEST_ANGLE = 60.0


class AngularLoss(PairwiseLoss):
    """log(1 + sum_n exp(4 t (s_an + s_pn) - 2 (1 + t) s_ap)), the mean over positive pairs; embeddings scaled to 1.

    Bounds the angle at the negative of each triplet, which no rescaling of the embeddings changes. exp(4 t s_an) and
    exp(4 t s_pn) are computed once for each pair and multiplied as rows: O(P M) for an anchor with P positives, no
    triplet is listed. It needs the cosines of its positives with all references too, twice the matrix products of other
    losses where the batch is not its own reference set. The paper adds it to the N-pair loss with equal weights.

    Helps:
        Where classes differ in scale, which a fixed margin would not fit; beside another loss, as in the paper.

    Collapses:
        Hardly: far from its optimum the cost is nearly linear. In single precision a wide angle leaves only the
        hardest pairs.

    Args:
        angle: in degrees, > 0 and at most 60, beyond which exp leaves single precision; 36 to 55 in the paper, 45 best.
        average: "pairs": over positive pairs; "anchors": every anchor weighs the same. Only anchors with a negative.
        miner: picks pairs by cosine distance; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`; None: 4096, for smaller blocks repeat work.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> AngularLoss(angle=45.0)(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(4 (0 + 0) - 4))
        tensor(0.0181)
    """

    default_block_size = 4096

    def __init__(
        self,
        angle: float = 45.0,
        average: Literal["pairs", "anchors"] = "pairs",
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance(), miner, relevance, block_size)
        if not 0 < angle <= _LARGEST_ANGLE:
            raise ValueError(f"AngularLoss: angle must be above 0 and at most {_LARGEST_ANGLE} degrees, got {angle}")
        self.angle = angle
        self.average = check_choice(self, "average", average, ("pairs", "anchors"))

    def block_terms(self, x: Tensor, y: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        distances = self.distance(x, y)
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        anchor, positive = pairs.positive.nonzero(as_tuple=True)
        if x is y:
            others, row = distances, positive
        else:
            used, row = positive.unique(return_inverse=True)
            others = self.distance(y[used], y)
        return {"pairs": self._ratio(distances, others, pairs, (anchor, positive, row))}

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Raise TypeError: the formula needs the positives' own distances as well, see `block_terms`."""
        raise TypeError("AngularLoss can't be computed from the anchors' distances alone; call block_terms")

    def _ratio(self, distances: Tensor, others: Tensor, pairs: Pairs, places: tuple[Tensor, Tensor, Tensor]) -> Ratio:
        anchor, positive, row = places
        t = math.tan(math.radians(self.angle)) ** 2
        # exp(4 t s) but for a factor exp(4 t), which comes back as 8 t below.
        of_positives = (-4 * t * others).exp()
        of_anchors = of_positives if others is distances else (-4 * t * distances).exp()
        sums = row_products(of_anchors.masked_fill(~pairs.negative, 0), of_positives, anchor, row)
        counted = sums > 0
        logs = sums.masked_fill(~counted, 1).log() + 8 * t - 2 * (1 + t) * (1 - distances[anchor, positive])
        costs = log_one_plus_exp(logs.masked_fill(~counted, -torch.inf))
        zeros = distances.new_zeros(len(distances))
        total, count = zeros.index_add(0, anchor, costs), zeros.index_add(0, anchor, counted.to(costs.dtype))
        if self.average == "pairs":
            return Ratio(total, count)
        return Ratio(total / count.clamp_min(1), (count > 0).to(costs.dtype))
