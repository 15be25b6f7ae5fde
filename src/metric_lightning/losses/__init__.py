"""Losses: each a ratio of sums over anchors. One paper a file."""

from metric_lightning.losses.base import MetricLoss, PairwiseLoss
from metric_lightning.losses.class_weights import ClassWeightLoss
from metric_lightning.losses.contrastive import ContrastiveLoss
from metric_lightning.losses.softmax import SoftmaxLoss
from metric_lightning.losses.triplet import TripletMarginLoss, TripletSoftMarginLoss

__all__ = [
    "ClassWeightLoss",
    "ContrastiveLoss",
    "MetricLoss",
    "PairwiseLoss",
    "SoftmaxLoss",
    "TripletMarginLoss",
    "TripletSoftMarginLoss",
]
