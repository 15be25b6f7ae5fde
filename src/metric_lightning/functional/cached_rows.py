"""Rows of a matrix in pieces that stay in the processor's cache while several passes go over them."""

from collections.abc import Iterator

from torch import Tensor

_ELEMENTS = 2**17


def cached_rows(matrix: Tensor) -> Iterator[slice]:
    """Yield slices over the rows of `matrix` (N, M): few at a time on a CPU, all at once elsewhere.

    Example:
        >>> import torch
        >>> list(cached_rows(torch.zeros(5, 2**16)))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 6, None)]
    """
    rows = len(matrix)
    step = max(1, _ELEMENTS // max(1, matrix.shape[1])) if matrix.device.type == "cpu" else max(1, rows)
    for start in range(0, rows, step):
        yield slice(start, start + step)
