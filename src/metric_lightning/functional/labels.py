"""What labels must be, said in one sentence where they are not. Shapes and types cost nothing to look at."""

from typing import Any

import torch
from torch import Tensor


def check_labels(owner: object, *labels: Tensor, columns: bool = False, floating: bool = False) -> None:
    """Raise ValueError where labels are no integers (N,), or (N, L) with `columns`; `floating`: any numbers will do.

    NaN, which is not itself, and rounding make no classes: so floating point labels are refused.

    Example:
        >>> check_labels(torch.nn.Identity(), torch.tensor([[0], [1]]))
        Traceback (most recent call last):
        ValueError: Identity: labels must be integers of shape (batch,), got torch.int64 of shape (2, 1)
    """
    for given in labels:
        fits = isinstance(given, Tensor) and given.ndim == 1 + columns and not given.is_complex()
        if not fits or (given.is_floating_point() and not floating):
            kind, shape = "numbers" if floating else "integers", "(batch, columns)" if columns else "(batch,)"
            raise ValueError(f"{type(owner).__name__}: labels must be {kind} of shape {shape}, got {shown(given)}")
    if len({given.shape[1:] for given in labels}) > 1:
        numbers = " and ".join(str(given.shape[1]) for given in labels)
        raise ValueError(f"{type(owner).__name__}: labels must have the same columns everywhere, got {numbers}")


def class_numbers(owner: object, labels: Tensor, classes: int) -> Tensor:
    """Return labels (N,) of any integer type as int64, fit to index `classes` rows: a mask of bytes is none.

    Raises:
        ValueError: they are no integers (N,), or not 0 to classes - 1.

    Example:
        >>> class_numbers(torch.nn.Identity(), torch.tensor([1, 0], dtype=torch.uint8), classes=2)
        tensor([1, 0])
    """
    check_labels(owner, labels)
    numbers = labels.long()
    if len(numbers):
        low, high = torch.stack(torch.aminmax(numbers)).tolist()
        if low < 0 or high >= classes:
            found = low if low < 0 else high
            raise ValueError(f"{type(owner).__name__}: labels must be 0 to {classes - 1}, got {found}")
    return numbers


def shown(value: Any) -> str:
    """Return what `value` is, for a message: type and shape of a tensor, the class of anything else.

    Example:
        >>> shown(torch.zeros(2, 3)), shown([1])
        ('torch.float32 of shape (2, 3)', 'list')
    """
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
