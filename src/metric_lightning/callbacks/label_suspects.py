"""Samples whose neighbours all say that their label is wrong.

n samples, k neighbours, C classes.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_MOST_OTHER = 0.8  # share of the neighbours that must agree on another class


class Suspects(NamedTuple):
    """Samples, the surest first, that look as if they had another's label.

    Attributes:
        sample: (t,) int64.
        neighbours: (t, k) int64, the nearest other samples, the closest first.
        likely: (t,) int64, the label that most of them have.
        agreement: (t,) how many have it.
    """

    sample: Tensor
    neighbours: Tensor
    likely: Tensor
    agreement: Tensor


def label_suspects(distances: Tensor, labels: Tensor, k: int = 10) -> Suspects:
    """Return the samples none of whose k nearest others has their label, four fifths of which agree on another.

    Args:
        distances: (n, n) between the samples.
        labels: (n,) int64.
        k: at most n - 1 count.

    Example:
        >>> line = torch.tensor([[0.0], [0.1], [0.2], [0.3], [5.0], [5.1]])
        >>> label_suspects(torch.cdist(line, line), torch.tensor([0, 0, 1, 0, 1, 1]), k=3)[::2]
        (tensor([2]), tensor([0]))
    """
    k = min(k, len(labels) - 1)
    nearest = distances.clone().fill_diagonal_(torch.inf).topk(k, largest=False).indices
    votes = torch.nn.functional.one_hot(labels[nearest], int(labels.max()) + 1).sum(1)
    agreement, likely = votes.max(1)
    own = votes.gather(1, labels[:, None])[:, 0]
    found = ((own == 0) & (agreement >= _MOST_OTHER * k)).nonzero()[:, 0]
    found = found[agreement[found].sort(descending=True, stable=True).indices]
    return Suspects(found, nearest[found], likely[found], agreement[found])
