"""Regression of a similarity exp(-d) (Mueller and Thyagarajan 2016, Siamese recurrent architectures for learning
sentence similarity: MaLSTM).

N anchors, M references, d (N, M) distances, y = 1 for a positive pair and 0 for a negative one.
"""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.distances import Distance, LpDistance
from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.slopes import with_slopes
from metric_lightning.losses.averages import average_sides, check_choice
from metric_lightning.losses.base import PairwiseLoss
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class ManhattanSimilarityLoss(PairwiseLoss):
    """(exp(-d) - y)^2 for each pair, d = sum |x - y|: the similarity shall be 1 of the same and 0 of different.

    Far pairs, positive ones too, hardly pull any more (exp(-d) is flat there), so embeddings should start close: few
    components, small at first. The paper fits graded similarities of given pairs; here they are 0 or 1, of given
    pairs or of all pairs of a batch.

    Helps:
        Where a similarity from 0 to 1 is wanted as such: sentences, graded by people.

    Collapses:
        To one point where negatives are few, and to nothing learned where all pairs start far apart: exp(-d) has no
        slope there.

    Args:
        average: "pairs": the mean over all pairs; "sides": the mean over positives plus the mean over negatives, for
            batches with many more negatives.
        distance: default `LpDistance(p=1)`.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> loss = ManhattanSimilarityLoss()
        >>> loss(torch.tensor([[0.0], [0.0], [0.0]]), torch.tensor([0, 0, 1]))  # (0 + 1 + 1) / 3
        tensor(0.6667)
    """

    def __init__(
        self,
        average: Literal["pairs", "sides"] = "pairs",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(LpDistance(p=1.0) if distance is None else distance, miner, relevance, block_size)
        self.average = check_choice(self, "average", average, ("pairs", "sides"))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        fixed = distances.detach()
        pairs = pairs if self.miner is None else self.miner(fixed, pairs)
        similarities = fixed.neg().exp_()
        errors = pairs.positive.to(fixed.dtype).sub_(similarities)

        def share(mask: Tensor) -> Ratio:
            kept = errors.masked_fill(~mask, 0)
            total = torch.linalg.vecdot(kept, kept)
            return Ratio(with_slopes(total, kept.mul_(similarities).mul_(2), distances), row_counts(mask, fixed.dtype))

        return average_sides(share, pairs, self.average)
