"""Random choices among the columns of a row, vectorised, each a function of the anchor's key.

N anchors, M references, T positive pairs.
"""

import torch
from torch import Tensor

from metric_lightning.functional.hashing import pair_keys, random_below, random_bits
from metric_lightning.functional.pairs import row_counts
from metric_lightning.types import Pairs, Triplets

_TRIES = 16


def draw_between(distances: Tensor, pairs: Pairs, keys: Tensor, above: float, below: float) -> Triplets:
    """Draw, for every positive pair, one negative with d_ap + above < d_an < d_ap + below, all alike likely.

    A few columns are tried at random; the first that fits is uniform over all that do. Only pairs whose tries all
    fail need the list of what fits. This costs O(T) where many fit and O(T M) comparisons where few do.

    Args:
        distances: (N, M).
        pairs: masks (N, M).
        keys: (N,) int64.
        above: -inf: no lower bound.
        below: the upper bound.

    Returns:
        The triplets; a positive pair with no negative in between has none.
    """
    anchor, positive = pairs.positive.nonzero(as_tuple=True)
    if not len(anchor):
        return Triplets(anchor, positive, positive)
    low = distances[anchor, positive] + above
    high = distances[anchor, positive] + below
    chances = pair_keys(keys[anchor], positive)
    drawn = _draw_by_trying(distances, pairs.negative, anchor, low, high, chances)
    missed = (drawn < 0).nonzero()[:, 0]
    for few in missed.split(max(1, len(distances))):
        inside = (distances[anchor[few]] > low[few, None]) & (distances[anchor[few]] < high[few, None])
        drawn[few] = draw_one(inside & pairs.negative[anchor[few]], chances[few])
    found = (drawn >= 0).nonzero()[:, 0]
    return Triplets(anchor[found], positive[found], drawn[found])


def _draw_by_trying(
    distances: Tensor, negative: Tensor, anchor: Tensor, low: Tensor, high: Tensor, keys: Tensor
) -> Tensor:
    """Return for each pair (T,) the first of a few random columns that fits, -1 where none does."""
    columns = distances.shape[1]
    tries = random_below(keys[:, None] + torch.arange(1, _TRIES + 1, device=keys.device), columns)
    places = anchor[:, None] * columns + tries
    tried = distances.reshape(-1)[places]
    fits = (tried > low[:, None]) & (tried < high[:, None]) & negative.reshape(-1)[places]
    some, first = fits.view(torch.uint8).max(dim=1)
    return tries.gather(1, first[:, None])[:, 0].masked_fill(some == 0, -1)


def draw_one(mask: Tensor, keys: Tensor) -> Tensor:
    """Draw one of the True columns of each row of `mask` (T, M), all alike likely; -1 where there is none.

    Example:
        >>> draw_one(torch.tensor([[False, True], [False, False]]), torch.tensor([5, 6]))
        tensor([ 1, -1])
    """
    columns = mask.nonzero()[:, 1]
    counts = row_counts(mask)
    if not len(columns):
        return torch.full_like(counts, -1)
    place = counts.cumsum(0) - counts + random_below(keys, counts)
    return columns[place.clamp_max_(len(columns) - 1)].masked_fill(counts == 0, -1)


def draw_columns(mask: Tensor, number: Tensor, keys: Tensor) -> Tensor:
    """Draw `number` (N,) columns of each row of `mask` (N, M) bool without replacement, all of them where fewer."""
    order = random_bits(keys, mask.shape[1]).masked_fill_(~mask, -1)
    most = min(int(number.max()) if len(number) else 0, mask.shape[1])
    best, column = order.topk(most, dim=1)
    taken = (best >= 0) & (torch.arange(most, device=mask.device) < number[:, None])
    return torch.zeros_like(mask).scatter_(1, column, taken)
