"""Lightning callbacks that show and judge an embedding while it is trained."""

from metric_lightning.callbacks.best_checkpoint import BestCheckpoint
from metric_lightning.callbacks.collapse_diagnosis import CollapseDiagnosis
from metric_lightning.callbacks.embedding_figures import EmbeddingFigures
from metric_lightning.callbacks.projector import Projector
from metric_lightning.callbacks.run_summary import RunSummary

__all__ = ["BestCheckpoint", "CollapseDiagnosis", "EmbeddingFigures", "Projector", "RunSummary"]
