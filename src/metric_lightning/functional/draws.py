"""Random choices among the columns of a row, vectorised, each a function of the anchor's key.

N anchors, M references, T positive pairs.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metric_lightning.functional.hashing import pair_keys, random_below, random_bits
from metric_lightning.functional.pairs import row_counts
from metric_lightning.types import Pairs, Triplets

_TRIES = 8

Look = Callable[[Tensor, Tensor], Tensor]
"""(matrix, rows (T,)) -> what stands in those rows, in the columns that are looked at (T, K)."""


def draw_fitting(pairs: Pairs, keys: Tensor, fits: Callable[[Tensor, Tensor, Look], Tensor]) -> Triplets:
    """Draw, for every positive pair, one of the anchor's negatives that fit, all alike likely.

    A few columns are tried at random; the first that fits is uniform over all that do. Only pairs whose tries all
    fail need every column looked at. This costs O(T) where many fit and O(T M) comparisons where few do.

    Args:
        pairs: masks (N, M).
        keys: (N,) int64.
        fits: (anchor (T,), positive (T,), look) -> (T, K) bool, whether the columns that `look` looks at fit.

    Returns:
        The triplets; a positive pair with no negative that fits has none.
    """
    anchor, positive = pairs.positive.nonzero(as_tuple=True)
    if not len(anchor):
        return Triplets(anchor, positive, positive)
    columns = pairs.positive.shape[1]
    chances = pair_keys(keys[anchor], positive)
    tries = random_below(chances[:, None] + torch.arange(1, _TRIES + 1, device=keys.device), columns)

    def look_at_tries(matrix: Tensor, rows: Tensor) -> Tensor:
        return matrix.reshape(-1)[rows[:, None] * columns + tries]

    def look_at_all(matrix: Tensor, rows: Tensor) -> Tensor:
        return matrix[rows]

    fitting = fits(anchor, positive, look_at_tries) & look_at_tries(pairs.negative, anchor)
    some, first = fitting.view(torch.uint8).max(dim=1)
    drawn = tries.gather(1, first[:, None])[:, 0].masked_fill_(some == 0, -1)
    for few in (drawn < 0).nonzero()[:, 0].split(len(pairs.positive)):
        fitting = fits(anchor[few], positive[few], look_at_all) & pairs.negative[anchor[few]]
        drawn[few] = draw_one(fitting, chances[few])
    found = (drawn >= 0).nonzero()[:, 0]
    return Triplets(anchor[found], positive[found], drawn[found])


def draw_between(distances: Tensor, pairs: Pairs, keys: Tensor, above: float, below: float) -> Triplets:
    """Draw, for every positive pair, one negative with d_ap + above < d_an < d_ap + below, see `draw_fitting`.

    Args:
        distances: (N, M).
        pairs: masks (N, M).
        keys: (N,) int64.
        above: -inf: no lower bound.
        below: the upper bound.
    """

    def fits(anchor: Tensor, positive: Tensor, look: Look) -> Tensor:
        near, far = distances[anchor, positive][:, None], look(distances, anchor)
        return (far > near + above) & (far < near + below)

    return draw_fitting(pairs, keys, fits)


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


def draw_of_groups(groups: Tensor, bits: Tensor, sizes: Tensor, number: int) -> Tensor:
    """Draw `number` places of each group without replacement, all where a group has fewer.

    Args:
        groups: (L,) int64.
        bits: (L,) int32 random in [0, 2^31).
        sizes: (G,) int64, how many places each group has.
        number: at least 1.

    Returns:
        The places drawn, group after group.
    """
    # Those with the smallest bits are drawn. Only what is below a bound that some four times as many pass is sorted.
    bound = ((4 * number + 20) / sizes.clamp_min(1).double() * 2.0**31).clamp_max(2.0**31 - 1).to(torch.int32)
    few = (bits <= bound.index_select(0, groups)).nonzero()[:, 0]
    kept = torch.bincount(groups[few], minlength=len(sizes))
    if bool((kept < sizes.clamp_max(number)).any()):
        few, kept = torch.arange(len(groups), device=groups.device), sizes
    order = few[((groups[few] << 31) + bits[few]).argsort()]
    place = torch.arange(len(order), device=order.device) - (kept.cumsum(0) - kept)[groups[order]]
    return order[place < number]
