"""The closest negative for each positive pair."""

import torch
from torch import Tensor

from metric_lightning.miners.base import MarginMiner
from metric_lightning.types import Pairs, Triplets


class HardestNegative(MarginMiner):
    """For each positive pair the triplet with the anchor's closest negative, where that triplet costs something.

    Known to collapse a network from a random start (all embeddings in one point, the loss at the margin):
    `RandomHardNegative` and `SemiHardNegative` do not. Free points, which need no network to go apart, do find their
    way with it: both are in the picture.

    A batch without such a triplet gives none.

    Helps:
        From a network that already tells something apart, to polish it.

    Collapses:
        From a random start: all embeddings in one point, the loss at the margin.

    Args:
        margin: a triplet costs something where d_ap - d_an + margin > 0; None: the loss's own.

    Raises:
        ValueError: see `MarginMiner`.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> HardestNegative(margin=0.2)(torch.tensor([[0.1, 0.3, 0.7, 0.4]]), pairs)  # the near one costs nothing
        Triplets(anchor=tensor([0]), positive=tensor([1]), negative=tensor([3]))
    """

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each positive pair."""
        anchor, positive = pairs.positive.nonzero(as_tuple=True)
        if distances.shape[1] == 0:
            return Triplets(anchor, positive, positive)
        closest, column = distances.masked_fill(~pairs.negative, torch.inf).min(dim=1)
        costly = distances[anchor, positive] - closest[anchor] + self.margin_used > 0
        anchor, positive = anchor[costly], positive[costly]
        return Triplets(anchor, positive, column[anchor])
