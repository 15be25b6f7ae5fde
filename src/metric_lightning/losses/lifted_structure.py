"""Lifted structured embedding (Oh Song et al. 2016, Deep metric learning via lifted structured feature embedding).

N anchors, M references, d (N, M) distances, m margin; i, j a positive pair, k and l negatives of i and of j.
"""

from functools import partial

import torch
from torch import Tensor

from metric_lightning.distances import Distance
from metric_lightning.functional.log_sums import masked_logsumexp
from metric_lightning.functional.pairs import positive_slots
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.recomputed_blocks import RecomputedBlocks
from metric_lightning.losses.whole_batch import WholeBatchLoss
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class LiftedStructureLoss(WholeBatchLoss):
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
        block_size: rows at a time, see `WholeBatchLoss`.

    Example:
        >>> embeddings = torch.tensor([[0.0], [1.0], [0.5]])
        >>> LiftedStructureLoss(margin=1.0)(embeddings, torch.tensor([0, 0, 1]))  # 0.5 (1 + log 2 + 1 - 0.5)^2
        tensor(2.4049)
    """

    def __init__(
        self,
        margin: float = 1.0,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin, zero=True)
        self.take_margin(self.margin)

    def batch_terms(self, blocks: RecomputedBlocks) -> dict[str, Ratio]:
        """Return the parts of the loss: first each column's sum over all rows, then the costs of pairs."""
        of_columns = blocks.log_sum(lambda distances, pairs: masked_logsumexp(distances.T, pairs.negative.T, -1.0))
        return {"pairs": Ratio(*blocks.sum(partial(self._costs, of_columns)))}

    def _costs(self, of_columns: Tensor, distances: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """Return the sum over positive pairs, and their number; of_columns (M,) is log sum_l exp(-d_lj)."""
        columns, filled = positive_slots(pairs.positive)
        of_rows = masked_logsumexp(distances, pairs.negative, -1.0)[:, None].expand_as(filled)
        of_positives = of_columns[columns]
        counted = filled & ((of_rows > -torch.inf) | (of_positives > -torch.inf))
        # Two times -inf has no gradient: hide what doesn't count first.
        of_rows = of_rows.masked_fill(~counted, 0)
        closest = torch.logaddexp(of_rows, of_positives.masked_fill(~counted, 0)) + self.margin
        costs = 0.5 * (distances.gather(1, columns) + closest).clamp_min(0).square()
        return costs.masked_fill(~counted, 0).sum(), counted.sum(dtype=costs.dtype)
