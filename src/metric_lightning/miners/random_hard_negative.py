"""For each positive pair a random negative among those that cost something."""

import math

from torch import Tensor

from metric_lightning.functional.draws import draw_between
from metric_lightning.miners.base import MarginMiner, RandomKeys, ready_keys
from metric_lightning.types import Pairs, Triplets


class RandomHardNegative(MarginMiner):
    """For each positive pair a random one of the negatives with d_an < d_ap + margin; none where there is no such.

    The choice of the reference implementation: harder than random triplets, and does not collapse as the hardest do.

    Helps:
        A safe beginning: harder than random triplets, softer than the hardest.

    Collapses:
        Hardly ever.

    Args:
        margin: None: the loss's own.
        seed: of the draws; each training step draws anew.

    Raises:
        ValueError: see `MarginMiner`.

    Example:
        >>> import torch
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> RandomHardNegative(margin=0.2)(torch.tensor([[0.1, 0.3, 0.7, 0.4]]), pairs)
        Triplets(anchor=tensor([0]), positive=tensor([1]), negative=tensor([3]))
    """

    def __init__(self, margin: float | None = None, seed: int = 0):
        super().__init__(margin)
        self.random = RandomKeys(seed)

    def keys(self, anchors: Tensor) -> Tensor:
        """Return the random keys (N,) of this step."""
        return self.random(anchors)

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each positive pair."""
        return draw_between(distances, pairs, ready_keys(self.random, pairs), -math.inf, self.margin_used)
