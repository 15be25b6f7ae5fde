"""All positive pairs, and of the negatives the closest ones."""

import torch
from torch import Tensor

from metric_lightning.miners.base import PairMiner
from metric_lightning.types import Pairs


class HardNegativePairs(PairMiner):
    """All positive pairs, and of the batch's negative pairs the closest, as many as there are positives.

    The choice is over the whole batch (`row_wise` is False): an anchor among far classes gets no negative. Of pairs at
    equal distance those with the lower (row, column) are kept.
    """

    row_wise = False

    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return all positives with the closest negatives."""
        number = min(int(pairs.positive.sum()), int(pairs.negative.sum()))
        costs = distances.masked_fill(~pairs.negative, torch.inf).flatten()
        kept = torch.zeros_like(costs, dtype=torch.bool)
        if number:
            limit = costs.kthvalue(number).values
            kept = costs < limit
            ties = (costs == limit).nonzero()[: number - int(kept.sum()), 0]
            kept[ties] = True
        return pairs._replace(negative=kept.view_as(distances) & pairs.negative)
