"""For each positive pair a random negative that is farther than the positive, but not by the margin (FaceNet)."""

from torch import Tensor

from metric_lightning.functional.draws import draw_between
from metric_lightning.miners.base import MarginMiner, RandomKeys, ready_keys
from metric_lightning.types import Pairs, Triplets


class SemiHardNegative(MarginMiner):
    """For each positive pair a random one of the negatives with d_ap < d_an < d_ap + margin.

    Such a triplet costs between 0 and the margin (Schroff et al. 2015). A pair without such a negative gives none.

    Helps:
        A safe beginning on unit embeddings, as FaceNet did.

    Collapses:
        With a margin too small no negative lies between, and nothing is learned.

    Args:
        margin: above 0; None: the loss's own, which must have one.
        seed: of the draws; each training step draws anew.

    Raises:
        ValueError: see `MarginMiner`; at a margin of 0 there is no semi-hard negative.

    Example:
        >>> import torch
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> SemiHardNegative(margin=0.2)(torch.tensor([[0.1, 0.3, 0.7, 0.4]]), pairs)
        Triplets(anchor=tensor([0]), positive=tensor([1]), negative=tensor([3]))
    """

    needs_margin = True

    def __init__(self, margin: float | None = None, seed: int = 0):
        super().__init__(margin)
        self.random = RandomKeys(seed)

    def keys(self, anchors: Tensor) -> Tensor:
        """Return the random keys (N,) of this step."""
        return self.random(anchors)

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each positive pair."""
        self.check_margin()
        return draw_between(distances, pairs, ready_keys(self.random, pairs), 0.0, self.margin_used)
