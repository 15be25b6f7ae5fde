"""Lightning callbacks that show and judge an embedding while it is trained."""

from metric_lightning.callbacks.best_checkpoint import BestCheckpoint
from metric_lightning.callbacks.cached_features import CachedFeatures
from metric_lightning.callbacks.collapse_diagnosis import CollapseDiagnosis
from metric_lightning.callbacks.data_check import DataCheck
from metric_lightning.callbacks.distance_figures import DistanceFigures
from metric_lightning.callbacks.embedding_figures import EmbeddingFigures
from metric_lightning.callbacks.embedding_film import EmbeddingFilm
from metric_lightning.callbacks.embedding_writer import EmbeddingWriter
from metric_lightning.callbacks.galleries import Galleries
from metric_lightning.callbacks.layerwise_l2 import LayerwiseL2
from metric_lightning.callbacks.learning_curve_figure import LearningCurveFigure
from metric_lightning.callbacks.mislabelled_candidates import MislabelledCandidates
from metric_lightning.callbacks.projector import Projector
from metric_lightning.callbacks.run_summary import RunSummary

__all__ = [
    "BestCheckpoint",
    "CachedFeatures",
    "CollapseDiagnosis",
    "DataCheck",
    "DistanceFigures",
    "EmbeddingFigures",
    "EmbeddingFilm",
    "EmbeddingWriter",
    "Galleries",
    "LayerwiseL2",
    "LearningCurveFigure",
    "MislabelledCandidates",
    "Projector",
    "RunSummary",
]
