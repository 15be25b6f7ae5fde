"""One triplet for each anchor, its positive and its negative each easiest, hardest or semi-hard (Xuan et al. 2020)."""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.miners.base import TripletMiner
from metric_lightning.types import Pairs, Triplets

Choice = Literal["easiest", "hardest", "semi-hard"]


class BatchEasyHard(TripletMiner):
    """One triplet for each anchor: its easiest, hardest or semi-hard positive with such a negative.

    Easiest: the closest positive, the farthest negative. Hardest: the farthest positive, the closest negative.
    Semi-hard: the farthest positive that is closer than the negative; the closest negative that is farther than the
    positive; anchors without one give no triplet. Xuan, Stylianou, Pless 2020, Improved embeddings with easy positive
    triplet mining: the easiest positive lets a class keep several modes, and helps where classes vary much within;
    with the hardest positive and negative this is `BatchHard`.

    Helps:
        With an easy positive, where a class has several kinds of members that need not meet.

    Collapses:
        With the hardest positive and negative it is batch-hard, and collapses as that does.

    Args:
        positive: which positive.
        negative: which negative; at most one of the two is "semi-hard", which is relative to the other.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> BatchEasyHard("easiest", "semi-hard")(torch.tensor([[0.4, 0.7, 0.3, 0.9]]), pairs)
        Triplets(anchor=tensor([0]), positive=tensor([0]), negative=tensor([3]))
    """

    def __init__(self, positive: Choice = "easiest", negative: Choice = "semi-hard"):
        super().__init__()
        for name, value in (("positive", positive), ("negative", negative)):
            if value not in ("easiest", "hardest", "semi-hard"):
                raise ValueError(f"BatchEasyHard: {name} must be 'easiest', 'hardest' or 'semi-hard', got {value!r}")
        if positive == negative == "semi-hard":
            raise ValueError("BatchEasyHard: positive and negative can't both be 'semi-hard'; choose one of them first")
        self.positive: Choice = positive
        self.negative: Choice = negative

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each anchor."""
        if distances.shape[1] == 0:
            none = torch.zeros(0, dtype=torch.int64, device=distances.device)
            return Triplets(none, none, none)
        if self.positive == "semi-hard":
            far, negative = _extreme(distances, pairs.negative, self.negative == "easiest")
            near, positive = _extreme(distances, pairs.positive & (distances < far[:, None]), True)
        else:
            near, positive = _extreme(distances, pairs.positive, self.positive == "hardest")
            others = pairs.negative
            if self.negative == "semi-hard":
                others = others & (distances > near[:, None])
            far, negative = _extreme(distances, others, self.negative == "easiest")
        anchor = (near.isfinite() & far.isfinite()).nonzero()[:, 0]
        return Triplets(anchor, positive[anchor], negative[anchor])


def _extreme(distances: Tensor, mask: Tensor, farthest: bool) -> tuple[Tensor, Tensor]:
    """Return the largest or smallest distance (N,), infinite where the mask is empty, and its column (N,)."""
    if farthest:
        largest = distances.masked_fill(~mask, -torch.inf).max(dim=1)
        return largest.values, largest.indices
    smallest = distances.masked_fill(~mask, torch.inf).min(dim=1)
    return smallest.values, smallest.indices
