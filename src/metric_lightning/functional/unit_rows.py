"""Rows scaled to unit length."""

import torch
from torch import Tensor


def unit_rows(rows: Tensor) -> Tensor:
    """Return x_i / |x_i|; a zero row stays zero and gets a zero gradient.

    Args:
        rows: (..., D), float32 or float64.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    # Divided by infinity, a zero row is 0 and its gradient too; `normalize` would give it one of 1e12.
    return rows / length.masked_fill(length == 0, torch.inf)
