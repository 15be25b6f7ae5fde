"""Which detection continues which track: cues of each pair, one probability, one assignment.

n tracks, m detections.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from sklearn.ensemble import GradientBoostingClassifier
from torch import Tensor

from metric_lightning.applications.tracking.appearance import Appearance
from metric_lightning.applications.tracking.geometry import Array, height_ratios, moved, offsets, overlaps

CUES = ("appearance", "overlap", "offset", "speed", "height", "gap")


class Ends(NamedTuple):
    """Where n tracks were last seen.

    Attributes:
        boxes: (n, 4).
        velocities: (n, 2) pixels a frame.
        gaps: (n,) frames since.
        features: for each track the features of its last crops, (k_i, ...).
    """

    boxes: Array
    velocities: Array
    gaps: NDArray[np.int64]
    features: Sequence[Tensor]


class Score(ABC):
    """How likely each detection continues each track, in [0, 1]."""

    appearance: Appearance | None = None
    """What features are made by; None: this score does not look at pictures."""

    @abstractmethod
    def __call__(self, ends: Ends, boxes: Array, features: Tensor) -> Array:
        """Return (n, m) scores.

        Args:
            ends: of the tracks.
            boxes: (m, 4) of the detections.
            features: (m, ...) of their crops.
        """


class OverlapScore(Score):
    """Intersection over union with where a track was last seen: the baseline.

    Args:
        velocity: let tracks move on at constant velocity meanwhile.
    """

    def __init__(self, velocity: bool = False):
        self.velocity = velocity

    def __call__(self, ends: Ends, boxes: Array, features: Tensor) -> Array:
        last = moved(ends.boxes, ends.velocities, ends.gaps) if self.velocity else ends.boxes
        return overlaps(last, boxes)


class AppearanceScore(Score):
    """exp(-distance) of the crops alone."""

    def __init__(self, appearance: Appearance):
        self.appearance: Appearance = appearance

    def __call__(self, ends: Ends, boxes: Array, features: Tensor) -> Array:
        # A pair classifier's distance may be negative; the logistic function orders as exp does, within [0, 1].
        return 1 / (1 + np.exp(np.clip(looks(self.appearance, ends, features), -50, 50)))


class FusedScore(Score):
    """The probability that a classifier gives the cues of a pair, as in the paper by gradient boosting.

    Args:
        classifier: fitted to rows of cues, see `fitted`.
        appearance: None: judge by boxes alone.

    References:
        Leal-Taixe et al. (see `StackedPairModule`), who boost the CNN's features; here it is one distance.
    """

    def __init__(self, classifier: GradientBoostingClassifier, appearance: Appearance | None):
        self.classifier, self.appearance = classifier, appearance

    def __call__(self, ends: Ends, boxes: Array, features: Tensor) -> Array:
        rows = cues(ends, boxes, looks(self.appearance, ends, features))
        if rows.size == 0:
            return np.zeros(rows.shape[:2])
        return np.asarray(self.classifier.predict_proba(rows.reshape(-1, len(CUES)))[:, 1]).reshape(rows.shape[:2])


def looks(appearance: Appearance | None, ends: Ends, features: Tensor) -> Array:
    """Return the mean distance of each detection to a track's last crops, (n, m); 0 without an appearance."""
    if appearance is None or not len(features):
        return np.zeros((len(ends.boxes), len(features)))
    rows = [appearance.distances(kept, features).mean(0) for kept in ends.features]
    return torch.stack(rows).double().numpy() if rows else np.zeros((0, len(features)))


def cues(ends: Ends, boxes: Array, appearance: Array) -> Array:
    """Return what is known of each pair, (n, m, 6), in the order of `CUES`.

    appearance distance; overlap with the box moved on at constant velocity; distance from its centre, and a frame from
    where the track was last seen, in heights of the box; |log height ratio|; frames since.

    Args:
        ends: of n tracks.
        boxes: (m, 4).
        appearance: (n, m) distances.
    """
    guess = moved(ends.boxes, ends.velocities, ends.gaps)
    gaps = np.broadcast_to(ends.gaps[:, None].astype(np.float64), appearance.shape)
    speed = offsets(ends.boxes, boxes) / np.maximum(gaps, 1)
    columns = [appearance, overlaps(guess, boxes), offsets(guess, boxes), speed, height_ratios(ends.boxes, boxes), gaps]
    return np.stack(columns, axis=2)


def fitted(rows: Array, same: NDArray[np.bool_], seed: int = 0) -> GradientBoostingClassifier:
    """Return a classifier of cues; same and different pairs weigh alike, so that 0.5 is the even chance.

    Args:
        rows: (k, 6), see `cues`.
        same: (k,).
        seed: of the boosting's draws.

    Raises:
        ValueError: pairs are all of one kind.
    """
    if same.all() or not same.any():
        raise ValueError("association is learned from same and different pairs, but all given ones are of one kind")
    weights = np.where(same, 0.5 / same.mean(), 0.5 / (1 - same.mean()))
    classifier = GradientBoostingClassifier(n_estimators=60, max_depth=3, subsample=0.5, random_state=seed)
    return classifier.fit(rows, same, sample_weight=weights)


def assigned(scores: Array, least: float = 0.0) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of the assignment with the largest sum of scores, those of at least `least` kept.

    Pairs below `least` count nothing, so that one is not made at the expense of a good one.

    Example:
        >>> assigned(np.array([[0.9, 0.8], [0.8, 0.1]]))
        [(0, 1), (1, 0)]
        >>> assigned(np.array([[0.9, 0.8], [0.8, 0.1]]), least=0.85)
        [(0, 0)]
    """
    if scores.size == 0:
        return []
    rows, columns = linear_sum_assignment(np.where(scores >= least, scores, 0.0), maximize=True)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(row, column) for row, column in pairs if scores[row, column] >= least]
