"""Random choices among the columns of a row, vectorised, each a function of the anchor's key.

N anchors, M references, T positive pairs.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metric_lightning.functional.hashing import pair_keys, random_below, random_bits
from metric_lightning.functional.pairs import positive_slots, row_counts
from metric_lightning.types import Pairs, Triplets

_TRIES = 8
_FEW = 6
_OPEN, _NONE = -1, -2

Look = Callable[[Tensor, Tensor], Tensor]
"""(matrix, rows (T,)) -> what stands in those rows, in the columns that are looked at (T, K)."""
Fits = Callable[[Tensor, Tensor, Look], Tensor]


def draw_fitting(pairs: Pairs, keys: Tensor, fits: Fits) -> Triplets:
    """Draw, for every positive pair, one of the columns that fit, all alike likely.

    A few columns are tried at random; the first that fits is uniform over all that do. Only pairs whose tries all
    fail need every column looked at. This costs O(T) where many fit and O(T M) comparisons where few do.

    Args:
        pairs: masks (N, M); of `negative` nothing is asked: that is for `fits`.
        keys: (N,) int64.
        fits: (anchor (T,), positive (T,), look) -> (T, K) bool, whether the columns that `look` looks at fit.

    Returns:
        The triplets; a positive pair with no column that fits has none.
    """
    anchor, positive = pairs.positive.nonzero(as_tuple=True)
    chances = pair_keys(keys[anchor], positive)
    drawn = _try_some(pairs, anchor, positive, chances, fits)
    return _found(anchor, positive, _look_at_all(pairs, anchor, positive, chances, fits, drawn))


def draw_between(distances: Tensor, pairs: Pairs, keys: Tensor, above: float, below: float) -> Triplets:
    """Draw, for every positive pair, one negative with d_ap + above < d_an < d_ap + below, as `draw_fitting` does.

    Where many of an anchor's tries fail, its negatives are sorted: O(M log M) for the anchor instead of O(M) a pair.

    Args:
        distances: (N, M).
        pairs: masks (N, M).
        keys: (N,) int64.
        above: -inf: no lower bound.
        below: the upper bound.
    """
    if not distances.numel():
        none = keys.new_empty(0)
        return Triplets(none, none, none)
    others = distances.masked_fill(~pairs.negative, torch.inf)
    # Late in training most pairs have no such negative, and nearly all of them are told by the anchor's extremes.
    farthest = distances.masked_fill(~pairs.negative, -torch.inf).amax(dim=1, keepdim=True)
    nearest = others.amin(dim=1, keepdim=True)
    possible = pairs.positive & (farthest > distances + above) & (nearest < distances + below)

    def fits(anchor: Tensor, positive: Tensor, look: Look) -> Tensor:
        near, far = distances[anchor, positive][:, None], look(others, anchor)
        return (far > near + above) & (far < near + below)

    anchor, positive = possible.nonzero(as_tuple=True)
    chances = pair_keys(keys[anchor], positive)
    drawn = _try_some(pairs, anchor, positive, chances, fits)
    failed = (drawn < 0).nonzero()[:, 0]
    # A matter of the row alone: blocks and ranks must choose alike.
    crowded = torch.bincount(anchor[failed], minlength=len(distances)) > _FEW
    failed = failed[crowded[anchor[failed]]]
    if len(failed):
        rows = crowded.nonzero()[:, 0]
        left = torch.zeros_like(possible).index_put_((anchor[failed], positive[failed]), crowded.new_ones(()))[rows]
        ordered, order = others[rows].sort(dim=1)
        columns, filled = positive_slots(left)
        near = distances[rows].gather(1, columns)
        first = torch.searchsorted(ordered, near + above, right=True)
        number = (torch.searchsorted(ordered, near + below) - first).clamp_min_(0)
        place = first + random_below(pair_keys(keys[rows][:, None], columns), number)
        column = order.gather(1, place.clamp_max_(order.shape[1] - 1))
        drawn[failed] = column.masked_fill_(number == 0, _NONE)[filled]
    return _found(anchor, positive, _look_at_all(pairs, anchor, positive, chances, fits, drawn))


def _try_some(pairs: Pairs, anchor: Tensor, positive: Tensor, chances: Tensor, fits: Fits) -> Tensor:
    """Return the first column that fits among a few tried, -1 where none does (T,)."""
    if not len(anchor):
        return anchor
    columns = pairs.positive.shape[1]
    tries = random_bits(chances, _TRIES).to(torch.int64).mul_(columns).bitwise_right_shift_(31)

    def look(matrix: Tensor, rows: Tensor) -> Tensor:
        return matrix.take(rows[:, None] * columns + tries)

    some, first = fits(anchor, positive, look).view(torch.uint8).max(dim=1)
    return tries.gather(1, first[:, None])[:, 0].masked_fill_(some == 0, _OPEN)


def _look_at_all(pairs: Pairs, anchor: Tensor, positive: Tensor, chances: Tensor, fits: Fits, drawn: Tensor) -> Tensor:
    """Draw for those still open, at most N at a time."""
    for few in (drawn == _OPEN).nonzero()[:, 0].split(len(pairs.positive)):
        drawn[few] = draw_one(fits(anchor[few], positive[few], lambda matrix, rows: matrix[rows]), chances[few])
    return drawn


def _found(anchor: Tensor, positive: Tensor, drawn: Tensor) -> Triplets:
    found = (drawn >= 0).nonzero()[:, 0]
    return Triplets(anchor[found], positive[found], drawn[found])


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
