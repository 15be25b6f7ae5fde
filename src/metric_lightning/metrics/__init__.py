"""Metrics of embedded sets: one definition for each name, exact, in bounded memory."""

from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.knn import KNNAccuracy
from metric_lightning.metrics.retrieval import RetrievalMetrics

__all__ = [
    "EmbeddedSet",
    "EmbeddingMetric",
    "KNNAccuracy",
    "RetrievalMetrics",
]
