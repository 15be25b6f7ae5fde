"""What makes feature maps of the images: a small encoder for small pictures, and VGG16."""

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torchvision.models import vgg16

from metric_lightning.networks.pretraining import pretrained_state, pretrained_weights_are_skipped
from metric_lightning.parts import Part


class Encoder(Part, nn.Module):
    """Images to feature maps; a subclass makes `layers` and says how much smaller the maps are.

    Attributes:
        channels: of the feature maps.
        stride: pixels of the image for each place of the map.
    """

    channels: int
    stride: int
    layers: nn.Sequential

    def forward(self, images: Tensor) -> Tensor:
        """Return (n, channels, h / stride, w / stride) of (n, 3, h, w)."""
        features: Tensor = self.layers(images)
        return features


class SmallEncoder(Encoder):
    """Six convolutions (3x3) with batch normalisation, ReLU, and max-pooling by 2: for small pictures.

    Four make maps of a quarter of the size, which know where something is; two more, at an eighth of the size, see
    enough to know what it is. A convolution of one place (1x1) joins both at a quarter of the size, without ReLU:
    features of both signs have products of both signs, which tell like from unlike from the start.

    Args:
        channels: of the first convolution; the others have 2, 4, 4, 6 and 6 times as many, the joined maps 4 times.
    """

    def __init__(self, channels: int = 24):
        super().__init__()
        if channels < 1:
            raise ValueError(f"SmallEncoder: channels must be at least 1, got {channels}")
        once, twice, wide, widest = (factor * channels for factor in (1, 2, 4, 6))
        where = [convolution(3, once), nn.MaxPool2d(2), convolution(once, twice), nn.MaxPool2d(2)]
        where += [convolution(twice, wide), convolution(wide, wide)]
        what = nn.Sequential(nn.MaxPool2d(2), convolution(wide, widest), convolution(widest, widest))
        self.layers = nn.Sequential(*where, _WithContext(what), nn.Conv2d(wide + widest, wide, kernel_size=1))
        self.channels, self.stride = wide, 4


class _WithContext(nn.Module):
    """Feature maps, and what coarser layers make of them, scaled to their size, as further channels."""

    def __init__(self, coarser: nn.Module):
        super().__init__()
        self.coarser = coarser

    def forward(self, maps: Tensor) -> Tensor:
        context = interpolate(self.coarser(maps), maps.shape[2:], mode="bilinear", align_corners=False)
        return torch.cat([maps, context], 1)


class VGG16Encoder(Encoder):
    """The convolutions of VGG16 up to conv5_3, as the paper's encoder starts; 512 channels, a 16th of the size.

    Args:
        weights: None: random. "DEFAULT" or another of torchvision's names: downloaded. Else the path of a state dict of
            torchvision's vgg16. Normalise the images by ImageNet's mean and standard deviation then.
    """

    def __init__(self, weights: str | None = None):
        super().__init__()
        model = vgg16(weights=None)
        if weights is not None and not pretrained_weights_are_skipped():
            model.load_state_dict(pretrained_state("vgg16", weights))
        # Without the last pooling.
        self.layers = model.features[:-1]
        self.channels, self.stride = 512, 16


def convolution(inputs: int, outputs: int, size: int = 3) -> nn.Sequential:
    """Return a convolution of size x size places that keeps the size of maps, batch normalisation and ReLU."""
    # Batch normalisation has a shift of its own.
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )
