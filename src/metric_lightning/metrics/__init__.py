"""Metrics of embedded sets: one definition for each name, exact, in bounded memory."""

from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.calibration import (
    Calibration,
    IsotonicCalibration,
    PlattCalibration,
    fit_calibration,
)
from metric_lightning.metrics.clustering import ClusteringMetrics
from metric_lightning.metrics.cross_view import CrossViewRetrieval, CrossViewTrials
from metric_lightning.metrics.few_shot import FewShotAccuracy
from metric_lightning.metrics.knn import KNNAccuracy
from metric_lightning.metrics.lookup import LookupAccuracy
from metric_lightning.metrics.one_shot_trials import (
    OneShotRun,
    load_trials,
    score_trials,
    trial_scores_of_embeddings,
)
from metric_lightning.metrics.reranking import rerank
from metric_lightning.metrics.retrieval import RetrievalMetrics
from metric_lightning.metrics.trial_accuracy import OneShotTrials
from metric_lightning.metrics.verification import VerificationMetrics

__all__ = [
    "Calibration",
    "ClusteringMetrics",
    "CrossViewRetrieval",
    "CrossViewTrials",
    "EmbeddedSet",
    "EmbeddingMetric",
    "FewShotAccuracy",
    "IsotonicCalibration",
    "KNNAccuracy",
    "LookupAccuracy",
    "OneShotRun",
    "OneShotTrials",
    "PlattCalibration",
    "RetrievalMetrics",
    "VerificationMetrics",
    "fit_calibration",
    "load_trials",
    "rerank",
    "score_trials",
    "trial_scores_of_embeddings",
]
