"""Losses: each a ratio of sums over anchors. One paper a file."""

from metric_lightning.losses.angular import AngularLoss
from metric_lightning.losses.arcface import ArcFaceLoss
from metric_lightning.losses.base import MetricLoss, PairwiseLoss
from metric_lightning.losses.circle import CircleLoss
from metric_lightning.losses.class_weights import ClassWeightLoss, CosineClassLoss
from metric_lightning.losses.contrastive import ContrastiveLoss
from metric_lightning.losses.cosface import CosFaceLoss
from metric_lightning.losses.cross_batch_memory import CrossBatchMemory
from metric_lightning.losses.dynamic_soft_margin import DynamicSoftMarginLoss
from metric_lightning.losses.fast_ap import FastAPLoss
from metric_lightning.losses.generalized_lifted_structure import GeneralizedLiftedStructureLoss
from metric_lightning.losses.histogram import HistogramLoss
from metric_lightning.losses.info_nce import InfoNCELoss, NTXentLoss
from metric_lightning.losses.instance import BatchInstanceLoss, InstanceLoss
from metric_lightning.losses.intra_pair_variance import IntraPairVarianceLoss
from metric_lightning.losses.large_margin_softmax import LargeMarginSoftmaxLoss
from metric_lightning.losses.lifted_structure import LiftedStructureLoss
from metric_lightning.losses.manhattan_similarity import ManhattanSimilarityLoss
from metric_lightning.losses.margin import MarginLoss
from metric_lightning.losses.multi_similarity import MultiSimilarityLoss
from metric_lightning.losses.n_pairs import NPairsLoss
from metric_lightning.losses.nca import NCALoss
from metric_lightning.losses.normalized_softmax import NormalizedSoftmaxLoss
from metric_lightning.losses.pair_cross_entropy import PairCrossEntropyLoss
from metric_lightning.losses.partial_fc import PartialFCLoss
from metric_lightning.losses.proxy_anchor import ProxyAnchorLoss
from metric_lightning.losses.proxy_nca import ProxyNCALoss
from metric_lightning.losses.pytorch_metric_learning import PytorchMetricLearningLoss
from metric_lightning.losses.ranked_list import RankedListLoss
from metric_lightning.losses.sharded_classes import ShardedClassLoss
from metric_lightning.losses.sigmoid_pairwise import SigmoidPairwiseLoss
from metric_lightning.losses.signal_to_noise_contrastive import SignalToNoiseContrastiveLoss
from metric_lightning.losses.smooth_ap import SmoothAPLoss
from metric_lightning.losses.soft_triple import SoftTripleLoss
from metric_lightning.losses.softmax import SoftmaxLoss
from metric_lightning.losses.sphereface import SphereFaceLoss
from metric_lightning.losses.sub_center_arcface import SubCenterArcFaceLoss
from metric_lightning.losses.supervised_contrastive import SupervisedContrastiveLoss
from metric_lightning.losses.threshold_consistent_margin import ThresholdConsistentMarginLoss
from metric_lightning.losses.triplet import TripletMarginLoss, TripletSoftMarginLoss
from metric_lightning.losses.tuplet_margin import TupletMarginLoss
from metric_lightning.losses.vicreg import VICRegLoss
from metric_lightning.losses.weighted_sum import WeightedSum
from metric_lightning.losses.whole_batch import WholeBatchLoss

__all__ = [
    "AngularLoss",
    "ArcFaceLoss",
    "BatchInstanceLoss",
    "CircleLoss",
    "ClassWeightLoss",
    "ContrastiveLoss",
    "CosFaceLoss",
    "CosineClassLoss",
    "CrossBatchMemory",
    "DynamicSoftMarginLoss",
    "FastAPLoss",
    "GeneralizedLiftedStructureLoss",
    "HistogramLoss",
    "InfoNCELoss",
    "InstanceLoss",
    "IntraPairVarianceLoss",
    "LargeMarginSoftmaxLoss",
    "LiftedStructureLoss",
    "ManhattanSimilarityLoss",
    "MarginLoss",
    "MetricLoss",
    "MultiSimilarityLoss",
    "NCALoss",
    "NPairsLoss",
    "NTXentLoss",
    "NormalizedSoftmaxLoss",
    "PairCrossEntropyLoss",
    "PairwiseLoss",
    "PartialFCLoss",
    "ProxyAnchorLoss",
    "ProxyNCALoss",
    "PytorchMetricLearningLoss",
    "RankedListLoss",
    "SigmoidPairwiseLoss",
    "ShardedClassLoss",
    "SignalToNoiseContrastiveLoss",
    "SmoothAPLoss",
    "SoftTripleLoss",
    "SoftmaxLoss",
    "SphereFaceLoss",
    "SubCenterArcFaceLoss",
    "SupervisedContrastiveLoss",
    "ThresholdConsistentMarginLoss",
    "TripletMarginLoss",
    "TripletSoftMarginLoss",
    "TupletMarginLoss",
    "VICRegLoss",
    "WeightedSum",
    "WholeBatchLoss",
]
