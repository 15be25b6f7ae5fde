"""Networks that map inputs to embeddings."""

from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.networks.batch_hard_net import BatchHardNet
from metric_lightning.networks.conv4 import Conv4
from metric_lightning.networks.embedding_net import EmbeddingNet
from metric_lightning.networks.pixels import Pixels
from metric_lightning.networks.pretraining import skip_pretrained_weights
from metric_lightning.networks.torchvision_backbone import TorchvisionBackbone
from metric_lightning.networks.unit_rows import unit_rows

__all__ = [
    "BatchHardNet",
    "Conv4",
    "EmbeddingNet",
    "EmbeddingNetwork",
    "Pixels",
    "TorchvisionBackbone",
    "skip_pretrained_weights",
    "unit_rows",
]
