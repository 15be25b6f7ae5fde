"""FastAP (Cakir et al. 2019, Deep metric learning to rank).

N anchors, M references, d (N, M) distances, L bins; h+ and h the histograms of an anchor's positives and of all,
H+ and H their sums up to a node.
"""

from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.soft_histogram import cumulative_histograms
from metric_lightning.losses.averages import average_anchors
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class FastAPLoss(PairwiseLoss):
    """1 - 1/P sum_j h+_j H+_j / H_j, j over the nodes, the mean over anchors that have a positive.

    One minus average precision. Distances from 0 to the largest are sorted into L bins; one between two nodes
    counts towards both, in proportion. A list-wise loss: it needs large batches, and looks at order only as finely
    as its bins. Cosine distances from 0 to 2 are half the paper's squared Euclidean ones from 0 to 4, which leaves
    all bins as they are. Time grows with L.

    Helps:
        For ranking: it is average precision, smoothed by a histogram of distances; wants large batches.

    Collapses:
        In batches with few samples a class the histogram is coarse, and the gradient noise.

    Args:
        bins: L, >= 1.
        largest_distance: of two embeddings, > 0; what is farther falls out of the histogram.
        distance: default cosine.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> import torch
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        >>> FastAPLoss()(embeddings, torch.tensor([0, 0, 1]))  # 1 - (1/2 + 1/2) / 2
        tensor(0.5000)
    """

    def __init__(
        self,
        bins: int = 10,
        largest_distance: float = 2.0,
        distance: Distance | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, None, relevance, block_size)
        self.bins = check_whole(self, "bins", bins)
        self.largest_distance = check_positive(self, "largest_distance", largest_distance)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        positions = distances * (self.bins / self.largest_distance)
        positive = cumulative_histograms(*positive_values(positions, pairs.positive), self.bins)
        every = cumulative_histograms(positions, pairs.positive | pairs.negative, self.bins)
        count = row_counts(pairs.positive, distances.dtype)
        steps = positive.diff(dim=1, prepend=positive.new_zeros(len(positive), 1))
        precision = positive / every.masked_fill(every == 0, 1)
        costs = 1 - (steps * precision).sum(dim=1) / count.clamp_min(1)
        return {"anchors": average_anchors(costs, count > 0)}
