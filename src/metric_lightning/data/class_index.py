"""Where the samples of each class are."""

import numpy as np
import torch
from torch import Tensor

from metric_lightning.data.randomness import Integers
from metric_lightning.errors import UserError


class ClassIndex:
    """Samples sorted by class; classes without samples are left out.

    Attributes:
        labels: (C,) the label of each class that has samples, ascending.
        sizes: (C,) number of samples of each class.
        starts: (C,) where each class begins in `members`.
        members: (n,) sample numbers, class by class.
        class_of: (n,) class number, 0..C-1, of each sample.
        place: (n,) where each sample stands within its class.

    Example:
        >>> index = ClassIndex(torch.tensor([5, 1, 5]))
        >>> index.labels.tolist(), index.sizes.tolist(), index.members.tolist()
        ([1, 5], [1, 2], [1, 0, 2])
    """

    def __init__(self, labels: Tensor):
        self.labels, self.class_of, self.sizes = np.unique(as_integers(labels), return_inverse=True, return_counts=True)
        self.members: Integers = np.argsort(self.class_of, kind="stable")
        self.starts: Integers = np.cumsum(self.sizes) - self.sizes
        self.place: Integers = np.empty_like(self.members)
        self.place[self.members] = np.arange(len(self)) - np.repeat(self.starts, self.sizes)

    def __len__(self) -> int:
        return len(self.class_of)

    def require_two_classes(self, who: str) -> None:
        """Raise UserError where there is nothing to tell apart."""
        if len(self.labels) < 2:
            raise UserError(
                f"{who} needs samples of at least two classes, but the training data has "
                f"{len(self.labels)}; use other data or another split"
            )

    def random_mates(self, anchors: Integers, random: np.random.Generator) -> Integers:
        """Return another sample of each anchor's class, all equally likely; itself if alone."""
        classes = self.class_of[anchors]
        sizes = self.sizes[classes]
        shift = 1 + random.integers(0, np.maximum(sizes - 1, 1))
        return self.members[self.starts[classes] + (self.place[anchors] + shift) % sizes]

    def random_strangers(self, anchors: Integers, random: np.random.Generator) -> Integers:
        """Return a sample of another class than each anchor's, all equally likely."""
        classes = self.class_of[anchors]
        sizes = self.sizes[classes]
        position = random.integers(0, len(self) - sizes)
        return self.members[position + sizes * (position >= self.starts[classes])]


def as_integers(values: Tensor) -> Integers:
    """Return a tensor, list or array of integers as int64 numpy."""
    return torch.as_tensor(values).to(torch.int64).cpu().numpy()
