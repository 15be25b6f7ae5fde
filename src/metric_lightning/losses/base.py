"""What a loss is: a ratio of sums over anchors.

N anchors (rows), M references (columns), D dimensions. loss = sum over parts of total / count; an anchor's share of
both depends on its own row only. All that is exact on many ranks, in blocks and with a memory follows from this.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import reduce
from typing import ClassVar

import torch
from torch import Tensor, nn

from metric_lightning.checks import check_arguments
from metric_lightning.checks import check_positive as check_positive  # losses take it from here
from metric_lightning.distances import Distance, EuclideanDistance
from metric_lightning.losses.batch_checks import check_batch as check_batch  # losses take it from here
from metric_lightning.losses.blocks import check_block_size, sum_over_blocks
from metric_lightning.miners.base import Miner
from metric_lightning.parts import Part
from metric_lightning.relevance import Relevance, SameLabel
from metric_lightning.types import Pairs, Ratio, References

FindPairs = Callable[[slice], Pairs]
"""Rows of a batch -> their pairs, of all columns."""


class MetricLoss(Part, nn.Module, ABC):
    """Base of all losses: `loss(embeddings, labels)` is a scalar.

    `row_wise` says that the law holds. Where it is False, N ranks compute the loss on the gathered batch each.

    Embeddings that aren't finite make the loss NaN, whatever a miner picks. Gradients are of first order: with
    `create_graph=True` most losses raise RuntimeError, and `torch.func` doesn't go through them; `torch.compile` does,
    in several graphs.
    """

    row_wise: bool = True
    learns_classes: ClassVar[bool] = False
    """Whether the loss has weights for each class, so that evaluation classes mean nothing to it."""

    def __init__(self) -> None:
        super().__init__()
        check_arguments(self)

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make the parts of the loss whose size comes from the data; the module calls it, once."""

    @abstractmethod
    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, each a `Ratio` of scalars.

        Args:
            embeddings: (N, D), the anchors.
            labels: (N,).
            references: the columns; None: the batch itself.
            pairs: (N, M) masks of given pairs, in place of those that labels make.

        Raises:
            ValueError: shapes or types don't fit.
        """

    def forward(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> Tensor:
        """Return the loss, a scalar; 0 with zero gradients where nothing counts. Arguments as in `terms`."""
        return reduce_terms(self.terms(embeddings, labels, references, pairs))


class PairwiseLoss(MetricLoss):
    """A loss on distances between anchors and references.

    A subclass writes `anchor_terms`, the formula. Here is what all share: distances once, pairs from labels, in blocks.

    Args:
        distance: default `EuclideanDistance`.
        miner: picks pairs or triplets; None: all.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time; None: as many as fit the cache. Memory is O(block_size x M), value and gradient are
            the same. Refused with a miner that chooses over the whole batch.
    """

    default_block_size: ClassVar[int | None] = None
    """Rows at a time where no `block_size` is given; None: as many as fit the cache."""

    def __init__(
        self,
        distance: Distance | None = None,
        miner: Miner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__()
        check_block_size(self, block_size, miner)
        self.distance = EuclideanDistance() if distance is None else distance
        self.miner = miner
        self.relevance = SameLabel() if relevance is None else relevance
        self.block_size = block_size
        if miner is not None and not miner.row_wise:
            self.row_wise = False

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make the distance's own parameters, where it learns."""
        self.distance.build(embedding_dim)

    def take_margin(self, margin: float | None) -> None:
        """Lend the loss's margin (None: it has none) to its miner, which keeps its own where it was given one."""
        if self.miner is not None:
            self.miner.use_margin(margin)

    @abstractmethod
    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of total and count, from its row of distances (N, M) alone."""

    def block_terms(self, x: Tensor, y: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return the shares (N,) of anchors x (N, D) with `labels` (N,) against columns y (M, D).

        Overridden where the formula needs more than distances: the embeddings themselves, or the anchors' labels.
        """
        return self.anchor_terms(self.distance(x, y), pairs)

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, see `MetricLoss.terms`."""
        check_batch(embeddings, labels, references, pairs)
        if references is None:
            references = References(embeddings, labels, _numbers(embeddings))
        keys = None
        if self.miner is not None:
            self.miner.use_dimensions(embeddings.shape[1])
            keys = self.miner.keys(_anchor_numbers(references, embeddings))

        def find(part: slice) -> Pairs:
            if pairs is None:
                own = None if references.own is None else references.own[part]
                found = self.relevance(labels[part], references.labels, own)
            else:
                found = Pairs(pairs.positive[part], pairs.negative[part])
            return found._replace(keys=None if keys is None else keys[part])

        size = self.default_block_size if self.block_size is None else self.block_size
        if self.miner is not None and not self.miner.row_wise:
            size = max(1, len(embeddings))
        parts = self.sum_over_rows(embeddings, references.embeddings, labels, find, size)
        return not_hiding(parts, embeddings, references.embeddings)

    def sum_over_rows(
        self, x: Tensor, y: Tensor, labels: Tensor, find: FindPairs, block_size: int | None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss of anchors x (N, D) against columns y (M, D), `block_size` rows at a time."""

        def block(rows: Tensor, columns: Tensor, start: int) -> dict[str, Ratio]:
            part = slice(start, start + len(rows))
            return self.block_terms(rows, columns, labels[part], find(part))

        return sum_over_blocks(block, x, y, tuple(self.parameters()), block_size)


def _anchor_numbers(references: References, embeddings: Tensor) -> Tensor:
    given = references.own if references.numbers is None else references.numbers
    return _numbers(embeddings) if given is None else given


def _numbers(rows: Tensor) -> Tensor:
    return torch.arange(len(rows), device=rows.device)


def reduce_terms(terms: Mapping[str, Ratio]) -> Tensor:
    """Return sum of total / count over the parts; a part whose count is 0 adds 0, with zero gradients."""
    values = [ratio.total / ratio.count.masked_fill(ratio.count == 0, 1) for ratio in terms.values()]
    return reduce(torch.add, values)


def not_hiding(parts: dict[str, Ratio], x: Tensor, y: Tensor) -> dict[str, Ratio]:
    """Return the parts with NaN for counts where x or y (..., D) isn't finite: comparisons would lose it."""
    lost = y.detach().sum()
    if x is not y:
        lost += x.detach().sum()
    lost *= 0
    return {name: Ratio(part.total, part.count + lost) for name, part in parts.items()}
