"""Random choices among the columns of a row, vectorised, each a function of the anchor's key."""

import torch
from torch import Tensor

from metric_lightning.functional.hashing import random_bits, random_uniform
from metric_lightning.functional.pairs import positive_slots
from metric_lightning.types import Triplets

_FEW_SLOTS = 32


def draw_between(
    distances: Tensor, positive: Tensor, negative: Tensor, low: Tensor, high: Tensor, keys: Tensor
) -> Triplets:
    """Draw, for every positive pair, one negative at a distance strictly between `low` and `high`, all alike likely.

    Args:
        distances: (N, M).
        positive: (N, M) bool.
        negative: (N, M) bool.
        low: (N, M) or (N, 1), bound for the pair in that place; -inf: none.
        high: likewise.
        keys: (N,) int64.

    Returns:
        The triplets; a positive pair with no negative in between has none.
    """
    columns, filled = positive_slots(positive)
    low = low.expand_as(distances).gather(1, columns).masked_fill(~filled, torch.inf)
    high = high.expand_as(distances).gather(1, columns)
    others = distances.masked_fill(~negative, torch.inf)
    if columns.shape[1] <= _FEW_SLOTS:
        drawn = _draw_by_slots(others, low, high, keys)
    else:
        drawn = _draw_by_sorting(others, low, high, columns, keys)
    anchor, slot = (drawn >= 0).nonzero(as_tuple=True)
    return Triplets(anchor, columns[anchor, slot], drawn[anchor, slot])


def _draw_by_slots(others: Tensor, low: Tensor, high: Tensor, keys: Tensor) -> Tensor:
    """One random order of the columns for each row, turned by a constant for each slot; the first in range wins."""
    order = random_bits(keys, others.shape[1])
    drawn = torch.full(low.shape, -1, dtype=torch.int64, device=others.device)
    for slot in range(low.shape[1]):
        inside = (others > low[:, slot : slot + 1]) & (others < high[:, slot : slot + 1])
        turned = (order + (slot * 0x1E3779B9 & 0x7FFFFFFF)).bitwise_and_(0x7FFFFFFF)
        best, column = turned.masked_fill_(~inside, -1).max(dim=1)
        drawn[:, slot] = column.masked_fill(best < 0, -1)
    return drawn


def _draw_by_sorting(others: Tensor, low: Tensor, high: Tensor, columns: Tensor, keys: Tensor) -> Tensor:
    """The candidates of a pair are neighbours in the sorted row: draw a place among them."""
    ordered, order = others.sort(dim=1)
    first = torch.searchsorted(ordered, low.contiguous(), right=True)
    behind = torch.searchsorted(ordered, high.contiguous(), right=False)
    number = behind - first
    place = first + (random_uniform(keys[:, None], columns) * number).to(torch.int64)
    drawn = order.gather(1, place.clamp_max(max(0, others.shape[1] - 1)))
    return drawn.masked_fill(number <= 0, -1)


def draw_columns(mask: Tensor, number: Tensor, keys: Tensor) -> Tensor:
    """Draw `number` (N,) columns of each row of `mask` (N, M) bool without replacement, all of them where fewer."""
    order = random_bits(keys, mask.shape[1]).masked_fill_(~mask, -1)
    most = min(int(number.max()) if len(number) else 0, mask.shape[1])
    best, column = order.topk(most, dim=1)
    taken = (best >= 0) & (torch.arange(most, device=mask.device) < number[:, None])
    return torch.zeros_like(mask).scatter_(1, column, taken)
