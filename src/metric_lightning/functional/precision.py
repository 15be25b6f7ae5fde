"""What is computed in single precision whatever autocast says: distances, whose differences half precision loses."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import Any

import torch
from torch import Tensor

Compare = Callable[..., Tensor]


def autocast_off(device: torch.device) -> AbstractContextManager[Any]:
    """Return a context without autocast; one that costs nothing where there is none to turn off."""
    return torch.autocast(device.type, enabled=False) if torch.is_autocast_enabled(device.type) else nullcontext()


def without_autocast(compare: Compare) -> Compare:
    """Return a function of x, y and more that under autocast gets both in float32 or better and computes in it."""

    @wraps(compare)
    def in_full_precision(x: Tensor, y: Tensor, *others: Any, **named: Any) -> Tensor:
        if not torch.is_autocast_enabled(x.device.type):
            return compare(x, y, *others, **named)
        with autocast_off(x.device):
            return compare(*both_full_precision(x, y), *others, **named)

    return in_full_precision


def full_precision(x: Tensor) -> Tensor:
    """Return x in float32, or as it is in float64."""
    if not x.is_floating_point():
        raise ValueError(f"embeddings must be floating point numbers, got {x.dtype}")
    return x if x.dtype in (torch.float32, torch.float64) else x.float()


def both_full_precision(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return x and y likewise, both in float64 where one is; one tensor where they are one."""
    full = full_precision(x)
    if y is x:
        return full, full
    other = full_precision(y)
    dtype = torch.promote_types(full.dtype, other.dtype)
    return full.to(dtype), other.to(dtype)
