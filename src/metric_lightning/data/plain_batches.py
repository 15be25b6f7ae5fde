"""Shuffled batches, each sample once an epoch."""

import numpy as np
from torch import Tensor

from metric_lightning.data.randomness import Integers, generator
from metric_lightning.data.sampler import EpochPlan
from metric_lightning.data.strategy import BatchStrategy, require_at_least


class PlainBatches(BatchStrategy):
    """Every sample once an epoch, in random order; in data order with `shuffle=False`.

    Args:
        batch_size: samples in a batch.
        drop_last: leave out a smaller last batch.

    Raises:
        ValueError: `batch_size` below 1.

    Example:
        >>> import torch
        >>> batches = PlainBatches(batch_size=3).sampler(torch.zeros(7), seed=0)
        >>> len(batches), sorted(sum(batches, []))
        (3, [0, 1, 2, 3, 4, 5, 6])
    """

    def __init__(self, batch_size: int = 128, drop_last: bool = False):
        self.batch_size = require_at_least("batch_size", batch_size, 1)
        self.drop_last = drop_last

    def plan(self, labels: Tensor, seed: int) -> EpochPlan:
        return _Shuffled(len(labels), seed)

    def unshuffled_plan(self, labels: Tensor, seed: int) -> EpochPlan:
        return _InOrder(len(labels))


class _Shuffled(EpochPlan):
    def __init__(self, size: int, seed: int):
        self.size = size
        self.seed = seed

    def __len__(self) -> int:
        return self.size

    def rows(self, epoch: int) -> Integers:
        return generator(self.seed, epoch).permutation(self.size)[:, None]


class _InOrder(EpochPlan):
    def __init__(self, size: int):
        self.size = size

    def __len__(self) -> int:
        return self.size

    def rows(self, epoch: int) -> Integers:
        return np.arange(self.size)[:, None]
