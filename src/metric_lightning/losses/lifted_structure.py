"""Lifted structured embedding (Oh Song et al. 2016, Deep metric learning via lifted structured feature embedding).

N anchors, M references, d (N, M) distances, m margin; i, j a positive pair, k and l negatives of i and of j.
"""

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.log_sums import masked_logsumexp
from metric_lightning.functional.pairs import positive_slots
from metric_lightning.losses.averages import average_pairs
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class LiftedStructureLoss(PairwiseLoss):
    """0.5 max(0, d_ij + log [sum_k exp(m - d_ik) + sum_l exp(m - d_lj)])^2, the mean over positive pairs.

    k runs over the negatives of row i, l over the rows to which column j is a negative: `row_wise` is False. In a batch
    that is the paper's sum, d being symmetric there. The mean over ordered pairs equals that over unordered ones. The
    smooth maximum over both ends makes it nervous about outliers; `GeneralizedLiftedStructureLoss` is the gentler form.

    Helps:
        Where every pair of the batch shall count, each positive against all negatives of both its ends.

    Collapses:
        With wrong labels or outliers, as the closest negatives outweigh the rest.

    Args:
        margin: m, >= 0.
        distance: default Euclidean.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.

    Example:
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.5]])
        >>> LiftedStructureLoss(margin=1.0)(embeddings, torch.tensor([0, 0, 1]))  # 0.5 (1 + log 2 + 1 - 0.5)^2
        tensor(2.4049)
    """

    row_wise = False

    def __init__(
        self,
        margin: float = 1.0,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
    ):
        super().__init__(distance, miner, relevance)
        self.margin = check_positive(self, "margin", margin, zero=True)
        self.take_margin(self.margin)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        columns, filled = positive_slots(pairs.positive)
        of_rows = masked_logsumexp(distances, pairs.negative, -1.0)[:, None].expand_as(filled)
        of_columns = masked_logsumexp(distances.T, pairs.negative.T, -1.0)[columns]
        counted = filled & ((of_rows > -torch.inf) | (of_columns > -torch.inf))
        # Two times -inf has no gradient: hide what doesn't count first.
        of_rows = of_rows.masked_fill(~counted, 0)
        closest = torch.logaddexp(of_rows, of_columns.masked_fill(~counted, 0)) + self.margin
        costs = 0.5 * (distances.gather(1, columns) + closest).clamp_min(0).square()
        return {"pairs": average_pairs(costs.masked_fill(~counted, 0), counted)}
