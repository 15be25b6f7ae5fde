"""Lightning modules: one network, one loss; they differ in the form of a training batch."""

from metric_lightning.modules.base import MetricModule
from metric_lightning.modules.classification import ClassificationModule
from metric_lightning.modules.embedding import EmbeddingModule
from metric_lightning.modules.siamese import SiameseModule
from metric_lightning.modules.triplet import TripletModule
from metric_lightning.modules.two_tower import TwoTowerModule

__all__ = [
    "ClassificationModule",
    "EmbeddingModule",
    "MetricModule",
    "SiameseModule",
    "TripletModule",
    "TwoTowerModule",
]
