"""Pairs that are not where they should be: positives beyond one distance, negatives within another."""

from torch import Tensor

from metric_lightning.checks import check_finite
from metric_lightning.miners.base import PairMiner
from metric_lightning.types import Pairs


class PairMargin(PairMiner):
    """Positive pairs with d > `positive_margin` and negative pairs with d < `negative_margin`.

    What the rest would cost is what a contrastive loss leaves out anyway; mining it away makes the mean one over
    pairs that still have to move. The bounds are in the units of the distance: on a network whose distances are all
    beyond `negative_margin` nothing is left to learn from.

    Helps:
        To average over the pairs that still have to move.

    Collapses:
        When distances are all beyond the bound for negatives nothing is left to learn from.

    Args:
        positive_margin: distance up to which a positive pair is near enough.
        negative_margin: distance from which a negative pair is far enough.

    Example:
        >>> import torch
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> PairMargin(0.2, 0.8)(torch.tensor([[0.1, 0.3, 0.7, 0.9]]), pairs)[:2]
        (tensor([[False,  True, False, False]]), tensor([[False, False,  True, False]]))
    """

    def __init__(self, positive_margin: float = 0.2, negative_margin: float = 0.8):
        super().__init__()
        self.positive_margin = check_finite(self, "positive_margin", positive_margin)
        self.negative_margin = check_finite(self, "negative_margin", negative_margin)

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return the pairs beyond their bounds."""
        positive = pairs.positive & (distances > self.positive_margin)
        return pairs._replace(positive=positive, negative=pairs.negative & (distances < self.negative_margin))
