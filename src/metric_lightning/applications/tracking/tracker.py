"""Tracking by detection, frame by frame: tracks are born, go on, are lost for a while and found again, and die."""

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from metric_lightning.applications.tracking.association import Ends, Score, assigned
from metric_lightning.applications.tracking.detections import Detections
from metric_lightning.applications.tracking.geometry import Array, velocity

KEPT = 5
"""A track remembers its last so many crops: the same in training of the fusion and in tracking."""


@dataclass
class Track:
    """One identity so far."""

    identity: int
    frames: list[int] = field(default_factory=list)
    boxes: list[Array] = field(default_factory=list)
    features: list[Tensor] = field(default_factory=list)

    def add(self, frame: int, box: Array, feature: Tensor) -> None:
        """Go on with a detection."""
        self.frames.append(frame)
        self.boxes.append(box)
        self.features = [*self.features, feature][-KEPT:]


def ends_of(tracks: list[Track], frame: int) -> Ends:
    """Return where tracks were last seen before `frame`."""
    boxes = np.array([track.boxes[-1] for track in tracks]).reshape(-1, 4)
    speeds = [velocity(np.array(track.frames), np.array(track.boxes)) for track in tracks]
    gaps = np.array([frame - track.frames[-1] for track in tracks], dtype=np.int64)
    return Ends(boxes, np.array(speeds).reshape(-1, 2), gaps, [torch.stack(track.features) for track in tracks])


class Tracker:
    """Gives detections identities.

    At each frame scores between living tracks and detections go into one optimal assignment. A detection without a
    track starts one; a track without a detection waits, hidden, and dies after `max_gap` frames.

    Args:
        score: how likely a detection continues a track.
        least_score: below it nothing is assigned.
        max_gap: frames for which a track is looked for after it was last seen.
        least_detections: tracks with fewer are left out of the result.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> from metric_lightning.applications.tracking.association import OverlapScore
        >>> boxes = np.array([[0.0, 0, 9, 9], [50.0, 0, 9, 9], [51.0, 0, 9, 9], [1.0, 0, 9, 9]])
        >>> seen = Detections(np.array([1, 1, 2, 2]), np.full(4, -1), boxes, np.ones(4, dtype=bool))
        >>> Tracker(OverlapScore(), least_score=0.3).track(seen).identities.tolist()
        [1, 2, 2, 1]
    """

    def __init__(self, score: Score, least_score: float = 0.5, max_gap: int = 30, least_detections: int = 1):
        if not 0 <= least_score <= 1:
            raise ValueError(f"least_score must lie in [0, 1], got {least_score}")
        if max_gap < 1 or least_detections < 1:
            raise ValueError(
                f"max_gap and least_detections must be at least 1, got max_gap={max_gap}, "
                f"least_detections={least_detections}"
            )
        self.score, self.least_score = score, least_score
        self.max_gap, self.least_detections = max_gap, least_detections

    def track(self, detections: Detections, crops: Tensor | None = None) -> Detections:
        """Return the detections with identities 1, 2, ... in the order of their birth.

        Args:
            detections: their own identities are not looked at.
            crops: (n, 3, H, W) uint8, what each box shows; needed by scores with an appearance.

        Raises:
            ValueError: a score needs crops, and there are none, or not as many as detections.
        """
        features = self._features(detections, crops)
        identities = np.zeros(len(detections.frames), dtype=np.int64)
        living: list[Track] = []
        born = 0
        for frame in np.unique(detections.frames).tolist():
            living = [track for track in living if frame - track.frames[-1] <= self.max_gap]
            places = np.flatnonzero(detections.frames == frame)
            scores = self.score(ends_of(living, frame), detections.boxes[places], features[places])
            track_of = {column: living[row] for row, column in assigned(scores, self.least_score)}
            for column, place in enumerate(places.tolist()):
                track = track_of.get(column)
                if track is None:
                    born += 1
                    track = Track(born)
                    living.append(track)
                track.add(frame, detections.boxes[place], features[place])
                identities[place] = track.identity
        result = detections.with_identities(identities)
        return result.where(np.bincount(identities, minlength=born + 1)[identities] >= self.least_detections)

    def _features(self, detections: Detections, crops: Tensor | None) -> Tensor:
        if self.score.appearance is None:
            return torch.zeros(len(detections.frames), 1)
        if crops is None or len(crops) != len(detections.frames):
            raise ValueError(
                f"{type(self.score).__name__} looks at crops: give one for each of {len(detections.frames)} detections"
            )
        return self.score.appearance.features(crops)
