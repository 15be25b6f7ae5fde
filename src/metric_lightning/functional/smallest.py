"""The places of the smallest of many numbers."""

import torch
from torch import Tensor

# A prime, so that a matrix laid out in a row is sampled over all its columns.
_STRIDE = 61


def smallest_places(values: Tensor, number: int) -> Tensor:
    """Return where the `number` smallest of `values` (L,) are, smallest first; of equal ones the earlier.

    Only what lies below a bound is sorted. The bound is guessed from a sample; where it proves too low, all is sorted.

    Args:
        values: (L,), without NaN.
        number: at most L.

    Example:
        >>> smallest_places(torch.tensor([3.0, 1.0, 2.0, 1.0]), 3)
        tensor([1, 3, 2])
    """
    sample = values[::_STRIDE]
    rank = 2 * number // _STRIDE + 16
    bound = sample.kthvalue(rank).values if rank < len(sample) else torch.inf
    places = (values <= bound).nonzero()[:, 0]
    if len(places) < number:
        places = torch.arange(len(values), device=values.device)
    return places[values[places].sort(stable=True).indices[:number]]
