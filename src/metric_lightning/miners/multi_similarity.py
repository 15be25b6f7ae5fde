"""Multi-similarity mining (Wang et al. 2019): pairs that are hard beside the anchor's other pairs."""

import torch
from torch import Tensor

from metric_lightning.checks import check_finite
from metric_lightning.miners.base import PairMiner
from metric_lightning.types import Pairs


class MultiSimilarity(PairMiner):
    """Positives with d_ap > min_n d_an - e, and negatives with d_an < max_p d_ap + e.

    The first step of Wang et al. 2019, Multi-similarity loss with general pair weighting, written there in cosines:
    with `CosineDistance` e is the paper's. An anchor without a positive, or without a negative, gives no pairs. Once
    all classes lie apart by e nothing is left, which is as it should be.

    Helps:
        Before a pairwise loss with weights of its own: pairs are kept that are hard beside the anchor's others.

    Collapses:
        With a large epsilon it keeps all; with wrong labels a small one keeps those.

    Args:
        epsilon: e, in the units of the distance; larger keeps more.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> MultiSimilarity(0.1)(torch.tensor([[0.1, 0.7, 0.3, 0.9]]), pairs)[:2]
        (tensor([[False,  True, False, False]]), tensor([[False, False,  True, False]]))
    """

    def __init__(self, epsilon: float = 0.1):
        super().__init__()
        self.epsilon = check_finite(self, "epsilon", epsilon)

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return the informative pairs."""
        if distances.shape[1] == 0:
            return pairs
        farthest = distances.masked_fill(~pairs.positive, -torch.inf).amax(dim=1, keepdim=True)
        closest = distances.masked_fill(~pairs.negative, torch.inf).amin(dim=1, keepdim=True)
        positive = pairs.positive & (distances > closest - self.epsilon)
        return pairs._replace(positive=positive, negative=pairs.negative & (distances < farthest + self.epsilon))
