"""Sequences of different lengths in one tensor."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from metric_lightning.types import Sequences


def padded(items: Sequence[Tensor]) -> Sequences:
    """Return sequences (T_i, F), or (T_i,), as one batch, filled up with 0.

    Raises:
        ValueError: there is none, or one without a step.

    Example:
        >>> padded([torch.tensor([5, 6]), torch.tensor([7])]).steps
        tensor([[5, 6],
                [7, 0]])
    """
    lengths = torch.tensor([len(item) for item in items], dtype=torch.int64)
    if not len(items) or int(lengths.min()) < 1:
        raise ValueError(f"{len(items)} sequences of {lengths.tolist()} steps: each must have at least one")
    return Sequences(pad_sequence(list(items), batch_first=True), lengths)
