"""Rows scaled to unit length, whatever their length was."""

import torch
from torch import Tensor


def unit_rows(rows: Tensor) -> Tensor:
    """Return y_i = x_i / |x_i|; a zero row stays zero and gets a zero gradient.

    Exact for rows of any finite length: each is first divided by its largest component, so squares
    neither overflow nor vanish. `torch.nn.functional.normalize` gives NaN for a zero row in half
    precision and a gradient of 1e12 in single.

    Args:
        rows: (N, D) of any floating type.

    Returns:
        (N, D), in single precision where `rows` has less.

    Example:
        >>> unit_rows(torch.tensor([[3.0, 4.0], [0.0, 0.0]]))
        tensor([[0.6000, 0.8000],
                [0.0000, 0.0000]])
    """
    rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
    # The direction doesn't depend on this scale, so neither does the gradient: it needs none.
    largest = rows.detach().abs().amax(dim=1, keepdim=True)
    zero = largest == 0
    scaled = rows / largest.masked_fill(zero, 1.0)
    squared_length = scaled.square().sum(dim=1, keepdim=True)
    return scaled * squared_length.masked_fill(zero, 1.0).rsqrt().masked_fill(zero, 0.0)
