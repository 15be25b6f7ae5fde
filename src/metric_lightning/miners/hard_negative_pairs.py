"""All positive pairs, and of the negatives the closest ones."""

import torch
from torch import Tensor

from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.smallest import smallest_places
from metric_lightning.miners.base import PairMiner
from metric_lightning.types import Pairs


class HardNegativePairs(PairMiner):
    """All positive pairs, and of the batch's negative pairs the closest, as many as there are positives.

    The choice is over the whole batch (`row_wise` is False): an anchor among far classes gets no negative. Of pairs at
    equal distance those with the lower (row, column) are kept.

    A batch without positives gives no pairs at all.

    Helps:
        With the contrastive loss, where most negatives cost nothing.

    Collapses:
        On wrong labels; and anchors among far classes learn from positives alone.

    Example:
        >>> pairs = Pairs(torch.tensor([[True, False, False]]), torch.tensor([[False, True, True]]))
        >>> HardNegativePairs()(torch.tensor([[0.1, 0.7, 0.4]]), pairs).negative
        tensor([[False, False,  True]])
    """

    row_wise = False

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return all positives with the closest negatives."""
        number = int(torch.minimum(row_counts(pairs.positive).sum(), row_counts(pairs.negative).sum()))
        places = smallest_places(distances.masked_fill(~pairs.negative, torch.inf).view(-1), number)
        kept = torch.zeros_like(pairs.negative)
        kept.view(-1)[places] = True
        return pairs._replace(negative=kept)
