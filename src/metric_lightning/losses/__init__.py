"""Losses: each a ratio of sums over anchors. One paper a file."""

from metric_lightning.losses.base import MetricLoss, PairwiseLoss
from metric_lightning.losses.circle import CircleLoss
from metric_lightning.losses.class_weights import ClassWeightLoss
from metric_lightning.losses.contrastive import ContrastiveLoss
from metric_lightning.losses.generalised_lifted_structure import GeneralisedLiftedStructureLoss
from metric_lightning.losses.info_nce import InfoNCELoss, NTXentLoss
from metric_lightning.losses.lifted_structure import LiftedStructureLoss
from metric_lightning.losses.multi_similarity import MultiSimilarityLoss
from metric_lightning.losses.n_pairs import NPairsLoss
from metric_lightning.losses.nca import NCALoss
from metric_lightning.losses.softmax import SoftmaxLoss
from metric_lightning.losses.supervised_contrastive import SupervisedContrastiveLoss
from metric_lightning.losses.triplet import TripletMarginLoss, TripletSoftMarginLoss
from metric_lightning.losses.tuplet_margin import TupletMarginLoss

__all__ = [
    "CircleLoss",
    "ClassWeightLoss",
    "ContrastiveLoss",
    "GeneralisedLiftedStructureLoss",
    "InfoNCELoss",
    "LiftedStructureLoss",
    "MetricLoss",
    "MultiSimilarityLoss",
    "NCALoss",
    "NPairsLoss",
    "NTXentLoss",
    "PairwiseLoss",
    "SoftmaxLoss",
    "SupervisedContrastiveLoss",
    "TripletMarginLoss",
    "TripletSoftMarginLoss",
    "TupletMarginLoss",
]
