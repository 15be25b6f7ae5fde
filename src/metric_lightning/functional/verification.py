"""Verification: are two samples the same, told by whether their distance is at most a threshold?

A pair is same or different. TAR (true accept rate) is the share of the same pairs that are accepted at a threshold, FAR
(false accept rate) that of the different pairs. Where there is no same pair, or no different one, figures are nan.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class PairCounts(NamedTuple):
    """How many pairs there are at each distance: all that a figure of verification depends on.

    Attributes:
        distances: (K,) float64, different and ascending.
        same: (K,) float64, the number of same pairs at each distance.
        different: (K,) float64, the number of different pairs.
    """

    distances: Tensor
    same: Tensor
    different: Tensor


def count_pairs(distances: Tensor, same: Tensor) -> PairCounts:
    """Count a list of pairs.

    Args:
        distances: (n,).
        same: (n,) bool.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> count_pairs(torch.tensor([0.5, 0.1, 0.5]), torch.tensor([True, True, False])).same.tolist()
        [1.0, 1.0]
    """
    if distances.shape != same.shape or distances.ndim != 1:
        raise ValueError(f"distances {tuple(distances.shape)} and same {tuple(same.shape)} must both be (n,)")
    values, place = torch.unique(distances.double(), return_inverse=True)
    counts = [torch.bincount(place[kind], minlength=len(values)).double() for kind in (same, ~same)]
    return PairCounts(values, *counts)


def roc_auc(pairs: PairCounts) -> float:
    """Return the area under the ROC curve: P(same pair is closer than different pair) + P(they tie) / 2.

    Example:
        >>> roc_auc(count_pairs(torch.tensor([0.1, 0.2, 0.2]), torch.tensor([True, True, False])))
        0.75
    """
    if not _both(pairs):
        return float("nan")
    accepted = pairs.same.cumsum(0)
    before = (accepted - pairs.same / 2) / accepted[-1]
    return float((pairs.different * before).sum() / pairs.different.sum())


def equal_error_rate(pairs: PairCounts) -> float:
    """Return the rate at which FAR and 1 - TAR are equal, on the straight lines between the points of the ROC curve.

    Example:
        >>> equal_error_rate(count_pairs(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([True, False, True])))
        0.5
    """
    if not _both(pairs):
        return float("nan")
    accept, false_accept = roc_curve(pairs)
    excess = false_accept + accept - 1  # ascends from -1 to 1
    after = int(torch.searchsorted(excess, 0.0))
    low, high = float(excess[after - 1]), float(excess[after])
    part = -low / (high - low)
    return float(false_accept[after - 1] + part * (false_accept[after] - false_accept[after - 1]))


def true_accept_rate(pairs: PairCounts, far: float) -> float:
    """Return TAR@FAR: the largest TAR of a threshold whose FAR is at most `far`; nothing is interpolated.

    Raises:
        ValueError: far lies outside [0, 1].

    Example:
        >>> true_accept_rate(count_pairs(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([True, False, True])), 0.01)
        0.5
    """
    if not 0 <= far <= 1:
        raise ValueError(f"far={far} must lie in [0, 1]")
    if not _both(pairs):
        return float("nan")
    accept, false_accept = roc_curve(pairs)
    return float(accept[int((false_accept <= far).sum()) - 1])


def roc_curve(pairs: PairCounts) -> tuple[Tensor, Tensor]:
    """Return TAR and FAR (K + 1,): where no pair is accepted, and at each distance as the threshold."""
    accept, false_accept = (
        torch.cat([counts.new_zeros(1), counts.cumsum(0) / counts.sum()]) for counts in (pairs.same, pairs.different)
    )
    return accept, false_accept


def accuracy(pairs: PairCounts, threshold: float, balanced: bool = False) -> float:
    """Return the share of pairs that the threshold tells right.

    Args:
        pairs: the counts.
        threshold: the largest distance that is accepted as the same.
        balanced: give the mean of the shares among same and among different pairs, as if there were equally many.

    Example:
        >>> accuracy(count_pairs(torch.tensor([0.1, 0.2, 0.3]), torch.tensor([True, False, True])), 0.15)
        0.6666666666666666
    """
    if not _both(pairs):
        return float("nan")
    accepted = int(torch.searchsorted(pairs.distances, threshold, right=True))
    return float(_accuracies(pairs, balanced)[accepted])


def best_threshold(pairs: PairCounts, balanced: bool = False) -> float:
    """Return the threshold with the largest `accuracy`: halfway between two distances, of several the smallest.

    Raises:
        ValueError: there is no same or no different pair to fit to.

    Example:
        >>> best_threshold(count_pairs(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([True, True, False])))
        3.0
    """
    if not _both(pairs):
        raise ValueError("a threshold needs same and different pairs to fit to; add pairs of the missing kind")
    accepted = int(_accuracies(pairs, balanced).argmax())
    inner = (pairs.distances[1:] + pairs.distances[:-1]) / 2
    below_all = torch.nextafter(pairs.distances[:1], torch.tensor(-torch.inf, dtype=torch.float64))
    return float(torch.cat([below_all, inner, pairs.distances[-1:]])[accepted])


class FoldAccuracy(NamedTuple):
    """Accuracy over folds: mean and standard error of the mean, and the threshold used in each fold."""

    mean: float
    standard_error: float
    thresholds: list[float]


def fold_accuracy(distances: Tensor, same: Tensor, folds: Tensor | int = 10) -> FoldAccuracy:
    """Return the accuracy as LFW reports it: each fold judged by the threshold that is best on all others.

    Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild (2007).

    Args:
        distances: (n,).
        same: (n,) bool.
        folds: (n,) int64, the fold of each pair; or the number of folds, of pairs that follow each other.

    Raises:
        ValueError: fewer than two folds, or all pairs of the other folds are of one kind.

    Example:
        >>> fold_accuracy(torch.tensor([1.0, 4.0, 2.0, 5.0]), torch.tensor([True, False, True, False]), folds=2).mean
        1.0
    """
    if isinstance(folds, int):
        folds = torch.arange(len(distances)) * folds // max(1, len(distances))
    names = torch.unique(folds)
    if len(names) < 2:
        raise ValueError(f"folds={names.tolist()} must be at least two")
    thresholds, accuracies = [], []
    for name in names:
        held = folds == name
        threshold = best_threshold(count_pairs(distances[~held], same[~held]))
        thresholds.append(threshold)
        accuracies.append(((distances[held].double() <= threshold) == same[held]).double().mean())
    values = torch.stack(accuracies)
    return FoldAccuracy(float(values.mean()), float(values.std() / len(values) ** 0.5), thresholds)


def _both(pairs: PairCounts) -> bool:
    return bool(pairs.same.sum() > 0) and bool(pairs.different.sum() > 0)


def _accuracies(pairs: PairCounts, balanced: bool) -> Tensor:
    """(K + 1,) float64: the accuracy where the first 0, 1, ... K distances are accepted."""
    if balanced:
        accept, false_accept = roc_curve(pairs)
        return (accept + 1 - false_accept) / 2
    gain = torch.cat([pairs.same.new_zeros(1), (pairs.same - pairs.different).cumsum(0)])
    return (gain + pairs.different.sum()) / (pairs.same.sum() + pairs.different.sum())
