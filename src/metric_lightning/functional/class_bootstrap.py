"""How sure a figure of verification is: resampling of classes.

The pairs of a set are no independent draws: a class that is hard to tell spoils all its pairs. So classes are
resampled, not pairs: in each replicate a class c counts w_c times, w drawn as the counts of C draws out of C classes; a
same pair of c counts w_c times, a different pair of c and d w_c w_d times (the pairs that a class would make with its
own copy are left out).

Bolle, Ratha, Pankanti: Error analysis of pattern recognition systems - the subsets bootstrap (CVIU 2004).
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from metric_lightning.functional.verification import PairCounts


class Interval(NamedTuple):
    """The middle 95% of the replicates."""

    low: float
    high: float


class JudgedPairs(NamedTuple):
    """Pairs of samples of C classes.

    Attributes:
        distances: (n,).
        first: (n,) int64, the class of one sample, 0..C-1.
        second: (n,) int64, that of the other.
    """

    distances: Tensor
    first: Tensor
    second: Tensor


def class_intervals(
    pairs: JudgedPairs, figures: Mapping[str, Callable[[PairCounts], float]], replicates: int = 200, seed: int = 0
) -> dict[str, Interval]:
    """Return the 95% interval of each figure over replicates that resample the classes; nan with two classes or fewer,
    where a replicate holds the same pairs or those of one class alone. (Of more classes, such replicates are left out.)

    Args:
        pairs: of all the classes; O(n) memory and O(n) time a replicate.
        figures: by name, functions of counted pairs, `functional.verification.equal_error_rate` say.
        replicates: how many, at least 2.
        seed: of the draws.

    Raises:
        ValueError: fewer than two replicates.

    Example:
        >>> from metric_lightning.functional.verification import roc_auc
        >>> first, second = torch.triu_indices(6, 6, 1) // 2
        >>> pairs = JudgedPairs((first != second).float(), first, second)
        >>> class_intervals(pairs, {"roc_auc": roc_auc})
        {'roc_auc': Interval(low=1.0, high=1.0)}
    """
    if replicates < 2:
        raise ValueError(f"replicates={replicates} must be at least 2")
    distances, place = torch.unique(pairs.distances.double(), return_inverse=True)
    n_classes = int(torch.stack([pairs.first.max(), pairs.second.max()]).max()) + 1 if len(place) else 0
    if n_classes <= 2:
        return dict.fromkeys(figures, Interval(math.nan, math.nan))
    generator = torch.Generator().manual_seed(seed)
    same = pairs.first == pairs.second
    found: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(replicates):
        drawn = torch.randint(0, max(1, n_classes), (n_classes,), generator=generator)
        weights = torch.bincount(drawn, minlength=n_classes).double()
        counts = weights[pairs.first] * torch.where(same, 1.0, weights[pairs.second])
        kinds = [torch.zeros_like(distances).index_add_(0, place[kind], counts[kind]) for kind in (same, ~same)]
        filled = (kinds[0] + kinds[1]) > 0
        replicate = PairCounts(distances[filled], kinds[0][filled], kinds[1][filled])
        for name, figure in figures.items():
            found[name].append(figure(replicate))
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    return {
        name: Interval(*torch.tensor(values, dtype=torch.float64).nanquantile(ends).tolist())
        for name, values in found.items()
    }
