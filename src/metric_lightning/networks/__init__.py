"""Networks that map inputs to embeddings."""

from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.networks.averaged_views import AveragedViews
from metric_lightning.networks.backbone import Backbone
from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.networks.batch_hard_net import BatchHardNet
from metric_lightning.networks.conv4 import Conv4
from metric_lightning.networks.embedding_net import EmbeddingNet
from metric_lightning.networks.heads import Head, LinearHead, MLPHead, NormalizedHead
from metric_lightning.networks.koch_net import KochNet
from metric_lightning.networks.lstm_net import LSTMNet
from metric_lightning.networks.pixels import Pixels
from metric_lightning.networks.pretraining import skip_pretrained_weights
from metric_lightning.networks.shared_tower import SharedTower
from metric_lightning.networks.timm_backbone import TimmBackbone
from metric_lightning.networks.torchvision_backbone import TorchvisionBackbone
from metric_lightning.networks.two_towers import TwoTowers

__all__ = [
    "Backbone",
    "AveragedViews",
    "BatchHardNet",
    "Conv4",
    "EmbeddingNet",
    "EmbeddingNetwork",
    "Head",
    "LinearHead",
    "MLPHead",
    "NormalizedHead",
    "KochNet",
    "LSTMNet",
    "Pixels",
    "TimmBackbone",
    "SharedTower",
    "TorchvisionBackbone",
    "TwoTowers",
    "skip_pretrained_weights",
    "unit_rows",
]
