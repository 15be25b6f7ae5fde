"""Random triplets."""

from typing import ClassVar

import numpy as np
from torch import Tensor

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.randomness import Integers, generator
from metric_lightning.data.sampler import EpochPlan
from metric_lightning.data.strategy import BatchStrategy, require_at_least
from metric_lightning.errors import UserError


class TripletBatches(BatchStrategy):
    """Triplets: every sample is anchor once an epoch, with a random positive and a random negative.

    Both are drawn anew each epoch, evenly from the rest of the anchor's class and from all samples
    of other classes. Batches are flat (a0, p0, n0, a1, p1, n1, ...). A sample alone in its class is
    never an anchor, but may be a negative.

    Args:
        batch_size: triplets in a batch (three times as many samples).

    Raises:
        ValueError: `batch_size` below 1.
        UserError: the labels are all of one class, or no class has two samples (from `sampler`).

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 0, 1, 1])
        >>> batches = TripletBatches(batch_size=2).sampler(labels, seed=0)
        >>> len(batches)
        3
        >>> anchor, positive, negative = labels[next(iter(batches))].view(2, 3).T
        >>> bool((anchor == positive).all()), bool((anchor == negative).any())
        (True, False)
    """

    tuple_size: ClassVar[int] = 3

    def __init__(self, batch_size: int = 128):
        self.batch_size = require_at_least("batch_size", batch_size, 1)

    def plan(self, labels: Tensor, seed: int) -> EpochPlan:
        return _Triplets(ClassIndex(labels), seed)


class _Triplets(EpochPlan):
    def __init__(self, index: ClassIndex, seed: int):
        index.require_two_classes("TripletBatches")
        self.index = index
        self.seed = seed
        self.anchors = np.flatnonzero(index.sizes[index.class_of] > 1)
        if len(self.anchors) == 0:
            raise UserError(
                "TripletBatches needs a class with at least two samples, but every class of the training data has one"
            )

    def __len__(self) -> int:
        return len(self.anchors)

    def rows(self, epoch: int) -> Integers:
        random = generator(self.seed, epoch)
        anchors = random.permutation(self.anchors)
        positives = self.index.random_mates(anchors, random)
        negatives = self.index.random_strangers(anchors, random)
        return np.stack([anchors, positives, negatives], axis=1)
