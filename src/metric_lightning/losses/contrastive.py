"""Contrastive loss (Hadsell, Chopra, LeCun 2006, Dimensionality reduction by learning an invariant mapping).

N anchors, M references, d (N, M) distances, m margin, l positive margin.
"""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.slopes import with_slopes
from metric_lightning.losses.averages import average_sides, check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


def contrastive_slopes(distances: Tensor, same: Tensor, margin: float = 1.0, positive_margin: float = 0.0) -> Tensor:
    """Return max(0, d - l) for a pair of the same class, min(0, d - m) for another, elementwise.

    The cost 0.5 [y max(0, d - l)^2 + (1 - y) max(0, m - d)^2] of a pair is half its square, and its derivative it is
    itself; of the linear form the cost is its size, and the derivative its sign. Hadsell et al. 2006 write Y = 0 for
    the same class, as some tutorials do; here, as in most code, y = 1 means the same.

    Args:
        distances: any shape.
        same: bool, the shape of `distances`.
        margin: m, distance from which a negative pair costs nothing.
        positive_margin: l, distance up to which a positive pair costs nothing.

    Example:
        >>> contrastive_slopes(torch.tensor([2.0, 0.5, 2.0]), torch.tensor([True, False, False]), margin=1.0)
        tensor([ 2.0000, -0.5000,  0.0000])
    """
    slopes = (distances - margin).clamp_max_(0)
    return torch.where(same, (distances - positive_margin).clamp_min_(0), slopes, out=slopes)


class ContrastiveLoss(PairwiseLoss):
    """0.5 max(0, d - l)^2 for a positive pair, 0.5 max(0, m - d)^2 for a negative one, the mean over the pairs.

    Hadsell et al. 2006, with l = 0; each unordered pair of a batch is met twice, from either end, which leaves the mean
    as it is. Popular code leaves the squares out, max(0, d - l) and max(0, m - d), and averages over the pairs of
    either side that cost something: `power=1, average="active"`.

    Helps:
        For verification: distances get an absolute meaning, and one threshold serves all classes.

    Collapses:
        With many negatives and a small margin positives win: all in one point costs only the negatives' margin.
        Use `sides`.

    Args:
        margin: m, distance from which a negative pair costs nothing, > 0.
        average: "pairs": one mean over all pairs, as the paper and the reference implementation do (many negatives then
            outweigh few positives); "sides": the mean over positives plus the mean over negatives; "active": likewise
            over those that cost something, so that the gradient does not fade as pairs are satisfied.
        positive_margin: l >= 0, distance up to which a positive pair costs nothing.
        power: 2: half squares, as the paper; 1: the distances themselves.
        distance: default Euclidean.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.5]])
        >>> ContrastiveLoss(margin=1.0)(embeddings, torch.tensor([0, 0, 1]))  # (12.5 + 0.125 + 0) / 3
        tensor(4.2083)
        >>> ContrastiveLoss(power=1, average="active")(embeddings, torch.tensor([0, 0, 1]))  # 5 + 0.5
        tensor(5.5000)
    """

    def __init__(
        self,
        margin: float = 1.0,
        average: Literal["pairs", "sides", "active"] = "pairs",
        positive_margin: float = 0.0,
        power: Literal[1, 2] = 2,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin)
        self.average = check_choice(self, "average", average, ("pairs", "sides", "active"))
        self.positive_margin = check_positive(self, "positive_margin", positive_margin, zero=True)
        if power not in (1, 2):
            raise ValueError(f"ContrastiveLoss: power must be 1 or 2, got {power!r}")
        self.power = power
        self.take_margin(margin)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        fixed = distances.detach()
        pairs = pairs if self.miner is None else self.miner(fixed, pairs)
        slopes = contrastive_slopes(fixed, pairs.positive, self.margin, self.positive_margin)

        def share(mask: Tensor) -> Ratio:
            kept = slopes.masked_fill(~mask, 0)
            counted = kept != 0 if self.average == "active" else mask
            if self.power == 2:
                total = 0.5 * torch.linalg.vector_norm(kept, dim=1).square()
            else:
                total = kept.abs().sum(dim=1)
                kept.sign_()
            return Ratio(with_slopes(total, kept, distances), row_counts(counted, distances.dtype))

        return average_sides(share, pairs, self.average)
