"""All pairs, or all positives with a random draw of as many negatives."""

from torch import Tensor

from metric_lightning.functional.draws import draw_columns
from metric_lightning.functional.pairs import row_counts
from metric_lightning.miners.base import PairMiner, RandomKeys, ready_keys
from metric_lightning.types import Pairs


class AllPairs(PairMiner):
    """Every pair of the batch: the same as no miner, for a YAML that wants to say so.

    A batch without pairs stays one.

    Helps:
        To say in a YAML that nothing is left out.

    Collapses:
        Hardly; satisfied pairs thin out the mean.

    Example:
        >>> import torch
        >>> pairs = Pairs(torch.tensor([[True, True, False, False]]), torch.tensor([[False, False, True, True]]))
        >>> AllPairs()(torch.tensor([[0.1, 0.3, 0.7, 0.4]]), pairs) == pairs
        True
    """

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return the pairs as they are."""
        return pairs


class RandomNegativePairs(PairMiner):
    """All positive pairs, and for each anchor as many of its negatives drawn at random, without replacement.

    An anchor with fewer negatives than positives keeps all. The reference implementation draws over the whole batch;
    over each anchor the expectation is the same on balanced batches, and the draw does not depend on the number of
    ranks.

    An anchor without positives gets no negatives.

    Helps:
        To balance positives and negatives, as the reference implementation does.

    Collapses:
        Hardly; once classes lie apart most draws cost nothing and learning slows down.

    Args:
        seed: of the draws; each training step draws anew.

    Raises:
        ValueError: the seed is no whole number.

    Example:
        >>> import torch
        >>> pairs = Pairs(torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]]))
        >>> RandomNegativePairs()(torch.zeros(1, 3), pairs).negative.sum()  # as many as positives
        tensor(1)
    """

    def __init__(self, seed: int = 0):
        super().__init__()
        self.random = RandomKeys(seed)

    def keys(self, anchors: Tensor) -> Tensor:
        """Return the random keys (N,) of this step."""
        return self.random(anchors)

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return all positives with as many negatives."""
        drawn = draw_columns(pairs.negative, row_counts(pairs.positive), ready_keys(self.random, pairs))
        return pairs._replace(negative=drawn)
