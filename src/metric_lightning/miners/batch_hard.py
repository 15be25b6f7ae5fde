"""Batch-hard (Hermans, Beyer, Leibe 2017): the farthest positive and the closest negative of each anchor."""

import torch
from torch import Tensor

from metric_lightning.functional.pairs import row_counts
from metric_lightning.miners.base import TripletMiner
from metric_lightning.types import Pairs, Triplets


class BatchHard(TripletMiner):
    """One triplet for each anchor that has a positive and a negative: its farthest positive, its closest negative.

    A batch without such an anchor gives no triplets.

    Helps:
        With the soft margin, or from a network that already tells something: every triplet teaches.

    Collapses:
        From a random start, soonest with a hard margin, and on wrong labels, which are the hardest there are.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> BatchHard()(torch.tensor([[0.1, 0.3, 0.7, 0.4]]), pairs)
        Triplets(anchor=tensor([0]), positive=tensor([1]), negative=tensor([3]))
    """

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each anchor."""
        anchor = ((row_counts(pairs.positive) > 0) & (row_counts(pairs.negative) > 0)).nonzero()[:, 0]
        if not len(anchor):
            return Triplets(anchor, anchor, anchor)
        positive = distances.masked_fill(~pairs.positive, -torch.inf).max(dim=1).indices
        negative = distances.masked_fill(~pairs.negative, torch.inf).min(dim=1).indices
        return Triplets(anchor, positive[anchor], negative[anchor])
