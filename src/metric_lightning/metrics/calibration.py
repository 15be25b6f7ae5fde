"""From a distance to a decision and a probability, as plain numbers that a checkpoint can hold."""

from abc import ABC, abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from metric_lightning.functional.verification import PairCounts, best_threshold
from metric_lightning.parts import Part

Method = Literal["platt", "isotonic"]

MOST_POINTS = 4096  # distances that a probability is fitted to; more are merged


class Calibration(Part, ABC):
    """Tells same from different by a threshold, and how probable it is that two samples are the same.

    Attributes:
        threshold: the largest distance that counts as the same.
    """

    threshold: float

    def same(self, distances: Tensor) -> Tensor:
        """Return (n,) bool of distances (n,)."""
        return distances <= self.threshold

    @abstractmethod
    def probability(self, distances: Tensor) -> Tensor:
        """Return (n,) float64 of distances (n,): the probability that the pair is the same."""


class PlattCalibration(Calibration):
    """Probability 1 / (1 + exp(-(slope d + intercept))) (Platt 1999).

    Example:
        >>> PlattCalibration(threshold=1.0, slope=-2.0, intercept=2.0).probability(torch.tensor([1.0])).tolist()
        [0.5]
    """

    def __init__(self, threshold: float, slope: float, intercept: float) -> None:
        self.threshold, self.slope, self.intercept = threshold, slope, intercept

    def probability(self, distances: Tensor) -> Tensor:
        return torch.sigmoid(self.slope * distances.double() + self.intercept)


class IsotonicCalibration(Calibration):
    """Probability that falls with the distance, linear between the given points, constant outside.

    Example:
        >>> calibration = IsotonicCalibration(threshold=1.0, distances=[0.0, 2.0], probabilities=[1.0, 0.0])
        >>> calibration.probability(torch.tensor([0.5, 7.0])).tolist()
        [0.75, 0.0]
    """

    def __init__(self, threshold: float, distances: list[float], probabilities: list[float]) -> None:
        self.threshold, self.distances, self.probabilities = threshold, distances, probabilities

    def probability(self, distances: Tensor) -> Tensor:
        values = np.interp(distances.double().cpu().numpy(), self.distances, self.probabilities)
        return torch.from_numpy(np.asarray(values)).to(distances.device)


def fit_calibration(pairs: PairCounts, method: Method = "platt", balanced: bool = True) -> Calibration:
    """Fit the threshold with the best accuracy, and the probability, to counted pairs.

    Args:
        pairs: of validation data.
        method: "platt", a logistic curve fitted to Platt's smoothed targets (finite also where the kinds don't
            overlap); or "isotonic", any falling function. Both by scikit-learn.
        balanced: weigh the same and the different pairs alike, whatever their numbers: probabilities are those of a
            pair that is as likely the same as not, and the threshold has the best balanced accuracy.

    Raises:
        ValueError: an unknown method, or pairs of one kind only.

    Example:
        >>> from metric_lightning.functional.verification import count_pairs
        >>> pairs = count_pairs(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([True, True, False]))
        >>> fit_calibration(pairs, "isotonic").threshold
        3.0
    """
    if method not in ("platt", "isotonic"):
        raise ValueError(f"method={method!r} must be 'platt' or 'isotonic'")
    threshold = best_threshold(pairs, balanced)
    distances, same, different = (values.cpu().numpy() for values in _merged(pairs))
    n_same, n_different = same.sum(), different.sum()
    if balanced:
        total = n_same + n_different
        same, different = same * total / (2 * n_same), different * total / (2 * n_different)
    if method == "isotonic":
        return _isotonic(threshold, distances, same, different)
    # each pair counts as the target and, a little, as its opposite
    hope, fear = (n_same + 1) / (n_same + 2), 1 / (n_different + 2)
    return _platt(threshold, distances, same * hope + different * fear, same * (1 - hope) + different * (1 - fear))


def _platt(threshold: float, distances: np.ndarray, same: np.ndarray, different: np.ndarray) -> Calibration:
    weights = np.concatenate([same, different])
    points = np.concatenate([distances, distances])
    targets = np.repeat([1, 0], len(distances))
    middle = np.average(points, weights=weights)
    spread = np.sqrt(np.average((points - middle) ** 2, weights=weights)) or 1.0
    fitted = LogisticRegression(C=np.inf, tol=1e-8, max_iter=1000).fit(
        ((points - middle) / spread)[:, None], targets, sample_weight=weights / weights.mean()
    )
    slope = float(fitted.coef_[0, 0]) / float(spread)
    return PlattCalibration(threshold, slope, float(fitted.intercept_[0]) - slope * float(middle))


def _isotonic(threshold: float, distances: np.ndarray, same: np.ndarray, different: np.ndarray) -> Calibration:
    weights = same + different
    fitted = IsotonicRegression(y_min=0, y_max=1, increasing=False, out_of_bounds="clip")
    fitted.fit(distances, same / weights, sample_weight=weights)
    return IsotonicCalibration(threshold, fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist())


def calibration_from(description: dict[str, Any]) -> Calibration:
    """Return the calibration that `describe` has described.

    Example:
        >>> from metric_lightning.parts import describe
        >>> calibration = PlattCalibration(1.0, -2.0, 2.0)
        >>> describe(calibration_from(describe(calibration))) == describe(calibration)
        True
    """
    classes = {f"{cls.__module__}.{cls.__qualname__}": cls for cls in (PlattCalibration, IsotonicCalibration)}
    return classes[description["class_path"]](**description["init_args"])


def _merged(pairs: PairCounts) -> PairCounts:
    """Merge neighbouring distances until there are at most `MOST_POINTS`, as many pairs in each as can be."""
    counts = pairs.same + pairs.different
    if len(counts) <= MOST_POINTS:
        return pairs
    place = ((counts.cumsum(0) - counts) / counts.sum() * MOST_POINTS).long()
    place = torch.unique(place, return_inverse=True)[1]
    same, different, sums, weights = (
        values.new_zeros(int(place.max()) + 1).index_add_(0, place, values)
        for values in (pairs.same, pairs.different, pairs.distances * counts, counts)
    )
    return PairCounts(sums / weights, same, different)
