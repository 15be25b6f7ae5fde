"""Random pairs, half of them of one class."""

from typing import ClassVar

import numpy as np
from torch import Tensor

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.randomness import Integers, generator
from metric_lightning.data.sampler import EpochPlan
from metric_lightning.data.strategy import BatchStrategy, require_at_least


class PairBatches(BatchStrategy):
    """Pairs for a siamese network: every sample is first of one pair an epoch, every second pair is
    of one class.

    The second sample is drawn anew each epoch, evenly from the rest of the anchor's class or from
    all samples of other classes. Batches are flat (a0, b0, a1, b1, ...): a pair is "same" if its
    two labels are equal. A batch of even size holds as many positive pairs as negative ones. A
    sample alone in its class is only ever in negative pairs; where more than half the samples are
    alone, there are fewer positive pairs than negative ones.

    Args:
        batch_size: pairs in a batch (twice as many samples).

    Raises:
        ValueError: `batch_size` below 1.
        UserError: the labels are all of one class (from `sampler`).

    References:
        Hadsell, Chopra, LeCun. Dimensionality Reduction by Learning an Invariant Mapping. CVPR
        2006.

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 0, 1, 1, 1])
        >>> batch = next(iter(PairBatches(batch_size=4).sampler(labels, seed=0)))
        >>> labels[batch].view(4, 2).diff().eq(0).flatten().tolist()
        [True, False, True, False]
    """

    tuple_size: ClassVar[int] = 2

    def __init__(self, batch_size: int = 128):
        self.batch_size = require_at_least("batch_size", batch_size, 1)

    def plan(self, labels: Tensor, seed: int) -> EpochPlan:
        return _Pairs(ClassIndex(labels), seed)


class _Pairs(EpochPlan):
    def __init__(self, index: ClassIndex, seed: int):
        index.require_two_classes("PairBatches")
        self.index = index
        self.seed = seed
        self.alone = index.sizes[index.class_of] == 1

    def __len__(self) -> int:
        return len(self.index)

    def rows(self, epoch: int) -> Integers:
        random = generator(self.seed, epoch)
        anchors = self._seat_alone_in_odd_rows(random.permutation(len(self)))
        same = (np.arange(len(self)) % 2 == 0) & ~self.alone[anchors]
        mates = self.index.random_mates(anchors, random)
        strangers = self.index.random_strangers(anchors, random)
        return np.stack([anchors, np.where(same, mates, strangers)], axis=1)

    def _seat_alone_in_odd_rows(self, anchors: Integers) -> Integers:
        alone = self.alone[anchors]
        leaving = np.flatnonzero(alone[0::2]) * 2
        arriving = np.flatnonzero(~alone[1::2]) * 2 + 1
        count = min(len(leaving), len(arriving))
        leaving, arriving = leaving[:count], arriving[:count]
        anchors[leaving], anchors[arriving] = anchors[arriving], anchors[leaving]
        return anchors
