"""What a pairwise loss of the whole batch is: sums over all rows, of which later sums may depend.

N anchors (rows), M references (columns), D dimensions.
"""

from abc import abstractmethod
from typing import Any

from torch import Tensor

from metric_lightning.functional.precision import autocast_off, both_full_precision
from metric_lightning.losses.base import FindPairs, PairwiseLoss
from metric_lightning.losses.recomputed_blocks import RecomputedBlocks
from metric_lightning.types import Pairs, Ratio


class WholeBatchLoss(PairwiseLoss):
    """A pairwise loss whose anchors' shares depend on statistics of all rows: `row_wise` is False.

    A subclass writes `batch_terms`, sums over blocks: first of the statistics, then, knowing them, of the shares.

    Args:
        distance: default `EuclideanDistance`.
        miner: picks pairs or triplets; None: all.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, in O(block_size x M) memory: value and gradient are the same, and distances are
            computed for each sum anew, and again in the backward pass. None: the whole batch, computed once.
    """

    row_wise = False

    @abstractmethod
    def batch_terms(self, blocks: RecomputedBlocks) -> dict[str, Ratio]:
        """Return the parts of the loss, each a `Ratio` of scalars, by sums over what `observe` gives of each block."""

    def observe(self, distances: Tensor, pairs: Pairs) -> tuple[Any, ...]:
        """Return what formulas take of a block: here its distances (N, M), and the pairs that the miner picks."""
        return distances, pairs if self.miner is None else self.miner(distances.detach(), pairs)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return the parts of the loss of the whole batch's distances (N, M), each a `Ratio` of scalars."""
        rows = max(1, len(distances))
        return self.batch_terms(RecomputedBlocks(lambda block, _: self.observe(block, pairs), distances, rows))

    def sum_over_rows(
        self, x: Tensor, y: Tensor, labels: Tensor, find: FindPairs, block_size: int | None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, see `PairwiseLoss.sum_over_rows`."""
        with autocast_off(x.device):
            x, y = both_full_precision(x, y)

            def look(rows: Tensor, start: int) -> tuple[Any, ...]:
                return self.observe(self.distance(rows, y), find(slice(start, start + len(rows))))

            return self.batch_terms(RecomputedBlocks(look, x, block_size or max(1, len(x))))
