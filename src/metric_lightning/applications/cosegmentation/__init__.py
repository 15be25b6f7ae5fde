"""Deep object co-segmentation: what do two pictures have in common, pixel by pixel?

The mutual correlation layer, a network around it, a module, its data (semi-synthetic garments; pairs of Pascal VOC) and
pictures of what it finds. After Li, Hosseini Jafari, Rother (2018); docs/applications/cosegmentation.md says what is
theirs and what is ours.
"""

from metric_lightning.applications.cosegmentation.correlation import (
    MutualCorrelation,
    mutual_correlation,
    strongest_match,
)
from metric_lightning.applications.cosegmentation.encoders import SmallEncoder, VGG16Encoder
from metric_lightning.applications.cosegmentation.garments import GarmentPairs
from metric_lightning.applications.cosegmentation.masks import mask_figures
from metric_lightning.applications.cosegmentation.module import CosegmentationModule
from metric_lightning.applications.cosegmentation.network import CosegmentationNet
from metric_lightning.applications.cosegmentation.pairs import MaskedPairs
from metric_lightning.applications.cosegmentation.places import PlaceLoss
from metric_lightning.applications.cosegmentation.voc import VOCPairs

__all__ = [
    "CosegmentationModule",
    "CosegmentationNet",
    "GarmentPairs",
    "MaskedPairs",
    "MutualCorrelation",
    "PlaceLoss",
    "SmallEncoder",
    "VGG16Encoder",
    "VOCPairs",
    "mask_figures",
    "mutual_correlation",
    "strongest_match",
]
