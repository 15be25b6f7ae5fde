"""Lightning callbacks that show and judge an embedding while it is trained."""

from metric_lightning.callbacks.embedding_figures import EmbeddingFigures
from metric_lightning.callbacks.projector import Projector

__all__ = ["EmbeddingFigures", "Projector"]
