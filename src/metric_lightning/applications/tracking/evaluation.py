"""How good associations and whole tracks are."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from torch import Tensor

from metric_lightning.applications.tracking.appearance import Appearance
from metric_lightning.applications.tracking.association import (
    CUES,
    FusedScore,
    Score,
    assigned,
    cues,
    fitted,
    looks,
)
from metric_lightning.applications.tracking.detections import Detections
from metric_lightning.applications.tracking.geometry import Array, overlaps
from metric_lightning.applications.tracking.tracker import KEPT, Track, ends_of
from metric_lightning.errors import UserError

MOT_FIGURES = ("idf1", "mota", "num_switches", "num_fragmentations", "num_false_positives", "num_misses")


class Association(NamedTuple):
    """Of `asked` boxes whose person is there again, how many were found `right`ly."""

    right: int
    asked: int

    @property
    def accuracy(self) -> float:
        """Share that was right; nan without a box."""
        return self.right / self.asked if self.asked else float("nan")


def association_accuracy(score: Score, detections: Detections, crops: Tensor, gap: int) -> Association:
    """Look for everybody again after `gap` frames.

    For each frame t that has boxes and whose frame t + gap has some too: every box of t, with its true history up to t,
    against every box of t + gap, in one optimal assignment without threshold. Of the boxes of t whose identity is in
    t + gap, those count as right that got it. People who left or came in between are there to be confused with.

    Args:
        score: judges the pairs.
        detections: with true identities.
        crops: (n, 3, H, W) uint8.
        gap: frames.
    """
    features = score.appearance.features(crops) if score.appearance else crops[:, :1, 0, 0]
    right = asked = 0
    for tracks, later in _frame_pairs(detections, features, gap):
        frame = int(detections.frames[later[0]])
        scores = score(ends_of(tracks, frame), detections.boxes[later], features[later])
        found = dict(assigned(scores))
        there = detections.identities[later].tolist()
        for row, track in enumerate(tracks):
            if track.identity in there:
                asked += 1
                right += row in found and there[found[row]] == track.identity
    return Association(right, asked)


def learned_score(
    appearance: Appearance | None,
    detections: Detections,
    crops: Tensor,
    identities: Sequence[int],
    gaps: Sequence[int] = (5, 10, 15, 20, 25, 30, 40, 50),
    seed: int = 0,
) -> FusedScore:
    """Return a score fused of appearance, motion and overlap, learned from all pairs of boxes `gaps` frames apart.

    Args:
        appearance: None: fuse boxes' cues alone.
        detections: with true identities.
        crops: (n, 3, H, W) uint8.
        identities: whose tracks count; give such that the appearance was not trained on: its own it judges too well.
        gaps: in frames.
        seed: of the classifier.

    Raises:
        UserError: there is nobody of these identities to learn from.
    """
    features = appearance.features(crops) if appearance else crops[:, :1, 0, 0]
    rows, same = [np.zeros((0, len(CUES)))], [np.zeros(0, dtype=np.bool_)]
    for gap in gaps:
        for tracks, later in _frame_pairs(detections, features, gap):
            chosen = [track for track in tracks if track.identity in identities]
            ends = ends_of(chosen, int(detections.frames[later[0]]))
            rows.append(
                cues(ends, detections.boxes[later], looks(appearance, ends, features[later])).reshape(-1, len(CUES))
            )
            names = np.array([track.identity for track in chosen], dtype=np.int64)
            same.append((names[:, None] == detections.identities[later][None]).reshape(-1))
    joined, truth = np.concatenate(rows), np.concatenate(same)
    if truth.all() or not truth.any():
        raise UserError(
            f"association can't be learned from identities {list(identities)}: they are never seen again among others; "
            "let more identities validate"
        )
    return FusedScore(fitted(joined, truth, seed), appearance)


def mot_figures(truth: Detections, tracks: Detections, least_overlap: float = 0.5) -> dict[str, float]:
    """Return IDF1, MOTA, identity switches and the like, by the library motmetrics.

    Args:
        truth: boxes with true identities; those that are not `considered` must have been left out.
        tracks: boxes with the tracker's identities.
        least_overlap: a tracked box may stand for a true one from this intersection over union on.

    Raises:
        UserError: motmetrics isn't installed.
    """
    try:
        import motmetrics
    except ImportError as error:
        raise UserError('MOT figures need motmetrics: pip install -e ".[tracking]"') from error
    accumulator = motmetrics.MOTAccumulator(auto_id=False)
    for frame in np.unique(np.concatenate([truth.frames, tracks.frames])).tolist():
        true, found = truth.where(truth.frames == frame), tracks.where(tracks.frames == frame)
        shared = overlaps(true.boxes, found.boxes)
        distances: Array = np.where(shared >= least_overlap, 1 - shared, np.nan)
        accumulator.update(true.identities, found.identities, distances, frameid=frame)
    summary = motmetrics.metrics.create().compute(accumulator, metrics=list(MOT_FIGURES))
    return {name: float(summary[name].iloc[0]) for name in MOT_FIGURES}


def degraded(detections: Detections, missing: float, jitter: float, seed: int = 0) -> Detections:
    """Return detections as a poorer detector would have them.

    Args:
        detections: good ones.
        missing: share that is left out at random.
        jitter: standard deviation of left, top, width and height, in shares of the box's own size.
        seed: of both.
    """
    random = np.random.default_rng(seed)
    kept = random.random(len(detections.frames)) >= missing
    sizes = np.tile(detections.boxes[:, 2:], 2)
    boxes = detections.boxes + random.normal(0, jitter, sizes.shape) * sizes
    boxes[:, 2:] = np.maximum(boxes[:, 2:], 1)
    return detections._replace(boxes=boxes).where(kept)


def _frame_pairs(detections: Detections, features: Tensor, gap: int) -> list[tuple[list[Track], np.ndarray]]:
    """For each frame t with boxes at t + gap: the tracks seen at t, true so far, and the places of the later boxes."""
    frames = set(np.unique(detections.frames).tolist())
    pairs = []
    for frame in sorted(frames):
        if frame + gap not in frames:
            continue
        tracks = []
        for identity in detections.identities[detections.frames == frame]:
            track = Track(int(identity))
            own = np.flatnonzero((detections.identities == identity) & (detections.frames <= frame))
            for place in own[-KEPT:]:
                track.add(int(detections.frames[place]), detections.boxes[place], features[place])
            tracks.append(track)
        pairs.append((tracks, np.flatnonzero(detections.frames == frame + gap)))
    return pairs
