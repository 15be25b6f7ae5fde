"""A draw of samples in which every class has its share."""

import numpy as np
import torch
from torch import Tensor

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.randomness import generator
from metric_lightning.errors import UserError


def stratified_draw(labels: Tensor, size: int | float, seed: int) -> tuple[Tensor, Tensor]:
    """Return (drawn, rest): sample numbers, ascending; of every class its share is drawn.

    Class shares are size * (class size) / n rounded by largest remainder, ties by chance, so that
    exactly `size` samples are drawn; a class always keeps one.

    Args:
        labels: (n,) integers.
        size: samples, or share of all as a float below 1.
        seed: of the draw.

    Raises:
        UserError: not that many without taking the last sample of a class.

    Example:
        >>> drawn, rest = stratified_draw(torch.tensor([0, 0, 0, 0, 1, 1]), 3, seed=0)
        >>> len(drawn), len(rest)
        (3, 3)
    """
    index = ClassIndex(labels)
    count = round(size * len(index)) if isinstance(size, float) else size
    available = len(index) - len(index.sizes)
    if count > available:
        raise UserError(
            f"{count} samples are to be set apart, but of {len(index)} samples in {len(index.sizes)} classes "
            f"only {available} can be, since each class keeps one; ask for fewer"
        )
    random = generator(seed)
    share = index.sizes * count / max(len(index), 1)
    taken = np.floor(share).astype(np.int64)
    order = np.lexsort((random.random(len(taken)), taken - share))
    while (missing := count - int(taken.sum())) > 0:
        more = order[taken[order] < index.sizes[order] - 1][:missing]
        taken[more] += 1
    # A random order within each class, of which the first ones are drawn.
    shuffled = np.lexsort((random.random(len(index)), index.class_of))
    place = np.arange(len(index)) - np.repeat(index.starts, index.sizes)
    drawn = place < np.repeat(taken, index.sizes)
    return (
        torch.from_numpy(np.sort(shuffled[drawn])),
        torch.from_numpy(np.sort(shuffled[~drawn])),
    )


def require_size(name: str, value: int | float) -> int | float:
    """Return a number of samples as an int, or a share of them; raise ValueError for what is neither."""
    if value > 1 and float(value).is_integer():
        return int(value)  # a number from a parser that takes `int | float` for `float | int`, as typing's cache may
    if value < 0 or (isinstance(value, float) and value >= 1):
        raise ValueError(f"{name} must be a number of samples, or a share below 1 of them, got {value}")
    return value
