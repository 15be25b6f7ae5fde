"""Tracking by detection: which of the boxes of one frame are the people of another.

A data module of a video's annotated boxes, two ways to judge whether two crops show the same (a siamese embedding, any
module of this package; the stacked-pair classifier), their fusion with motion and overlap, a tracker, and its
evaluation. After Leal-Taixe et al., Learning by tracking (2016); docs/applications/tracking.md says what is theirs and
what is ours.
"""

from metric_lightning.applications.tracking.appearance import (
    Appearance,
    ColourHistogram,
    EmbeddingAppearance,
    PairAppearance,
    appearance_of,
)
from metric_lightning.applications.tracking.association import AppearanceScore, FusedScore, OverlapScore, Score
from metric_lightning.applications.tracking.data import VideoIdentities
from metric_lightning.applications.tracking.detections import Detections, read_detections, write_mot
from metric_lightning.applications.tracking.evaluation import association_accuracy, learned_score, mot_figures
from metric_lightning.applications.tracking.pair_classifier import StackedPairModule
from metric_lightning.applications.tracking.tracker import Tracker

__all__ = [
    "Appearance",
    "AppearanceScore",
    "ColourHistogram",
    "Detections",
    "EmbeddingAppearance",
    "FusedScore",
    "OverlapScore",
    "PairAppearance",
    "Score",
    "StackedPairModule",
    "Tracker",
    "VideoIdentities",
    "appearance_of",
    "association_accuracy",
    "learned_score",
    "mot_figures",
    "read_detections",
    "write_mot",
]
