"""What travels between samplers, data sets and modules."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """n samples. A batch of pairs or triplets is flat: tuple after tuple (a0, b0, a1, b1, ...).

    Attributes:
        inputs: (n, ...), or whatever the data set makes of n inputs.
        labels: (n,) int64.
        indices: (n,) int64, position of each sample in its data set: two equal indices are one
            sample.
    """

    inputs: Any
    labels: Tensor
    indices: Tensor


class Draw(list[int]):
    """The indices of one batch, and where its random augmentation starts.

    Item i of the draw is augmented with random numbers that depend on `(seed, first + i)` only, so
    that they are the same for any number of workers, ranks and interruptions, and differ when a
    sample is drawn twice.

    Args:
        indices: positions in the data set.
        seed: of the whole epoch; None where nothing is to be seeded.
        first: place of the batch's first item in the epoch.

    Example:
        >>> draw = Draw([4, 2], seed=7, first=10)
        >>> draw, draw.seed, draw.first
        ([4, 2], 7, 10)
    """

    def __init__(self, indices: Iterable[int] = (), seed: int | None = None, first: int = 0):
        super().__init__(indices)
        self.seed = seed
        self.first = first
