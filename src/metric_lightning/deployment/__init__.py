"""A trained model at work: embeddings of new pictures, ONNX, a search index. All from a checkpoint alone."""

from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.deployment.embedder import Embedder, Match
from metric_lightning.deployment.image_index import ImageIndex
from metric_lightning.deployment.picture_files import pictures_in
from metric_lightning.deployment.picture_table import PictureTable
from metric_lightning.deployment.vector_index import VectorIndex

__all__ = ["Embedder", "ImageIndex", "Match", "PictureTable", "Preprocessing", "VectorIndex", "pictures_in"]
