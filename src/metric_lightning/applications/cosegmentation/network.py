"""The siamese encoder, what compares the two images, and the siamese decoder."""

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import vgg16

from metric_lightning.applications.cosegmentation.correlation import MutualCorrelation
from metric_lightning.networks import EmbeddingNetwork
from metric_lightning.networks.base import image_shape
from metric_lightning.networks.pretraining import pretrained_state, pretrained_weights_are_skipped
from metric_lightning.parts import Part

_SMALL_STRIDE, _VGG_STRIDE = 8, 16


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
    """Four convolutions (3x3) with batch normalisation, ReLU, and max-pooling by 2 between them: for small pictures.

    The last ReLU is left out: features of both signs have products of both signs, which tell like from unlike from
    the start.

    Args:
        channels: of the first convolution; the others have 2, 4 and 4 times as many.
    """

    def __init__(self, channels: int = 24):
        super().__init__()
        if channels < 1:
            raise ValueError(f"SmallEncoder: channels must be at least 1, got {channels}")
        sizes = [3, channels, 2 * channels, 4 * channels, 4 * channels]
        blocks: list[nn.Module] = []
        for number, (inputs, outputs) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
            blocks += [nn.MaxPool2d(2)] * (number > 0) + [_convolution(inputs, outputs)]
        self.layers = nn.Sequential(*blocks[:-1], *list(_convolution(*sizes[-2:]))[:-1])
        self.channels, self.stride = sizes[-1], _SMALL_STRIDE


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
        self.channels, self.stride = 512, _VGG_STRIDE


class CosegmentationNet(EmbeddingNetwork):
    """Two images in, the logits of two masks out: what both images show, and nothing that only one shows.

        f_A, f_B = encoder(A), encoder(B)        one encoder
        c_AB, c_BA = correlation(f_A, f_B)
        mask of A = decoder([f_A, c_AB])         one decoder
        mask of B = decoder([f_B, c_BA])

    Without `correlation`, the ablation, the decoder gets [f_A, f_B] and [f_B, f_A]: it sees both images still, but
    not compared.

    The encoder's and decoder's layers are ours; the paper has VGG16 and a decoder of its own.

    Args:
        encoder: None: `SmallEncoder()`.
        correlation: compares; None: nothing does.
        decoder_channels: of the decoder's first convolution; halved each time that it doubles the size.
        input_shape: (2, 3, height, width) of one pair; None: taken from the data by the module.

    Shape:
        (n, 2, 3, height, width) to (n, 2 height width): logits of A's mask, row by row, then of B's.

    Raises:
        ValueError: pictures that the encoder's stride does not divide.

    References:
        Li, Hosseini Jafari, Rother: Deep Object Co-Segmentation (see `mutual_correlation`).

    Example:
        >>> network = CosegmentationNet(SmallEncoder(4), MutualCorrelation(), input_shape=(2, 3, 32, 32))
        >>> network(torch.zeros(5, 2, 3, 32, 32)).shape
        torch.Size([5, 2048])
    """

    def __init__(
        self,
        encoder: Encoder | None = None,
        correlation: MutualCorrelation | None = None,
        decoder_channels: int = 96,
        input_shape: tuple[int, int, int, int] | None = None,
    ):
        super().__init__(1)
        if decoder_channels < 8:
            raise ValueError(f"CosegmentationNet: decoder_channels must be at least 8, got {decoder_channels}")
        self.encoder = SmallEncoder() if encoder is None else encoder
        self.correlation = correlation
        self.decoder_channels = decoder_channels
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the decoder, whose size depends on the number of displacements."""
        if len(input_shape) != 4 or input_shape[:2] != (2, 3):
            raise ValueError(
                f"CosegmentationNet takes pairs: input_shape must be (2, 3, height, width), got {input_shape}"
            )
        _, height, width = image_shape(self, input_shape[1:])
        stride = self.encoder.stride
        if height % stride or width % stride:
            raise ValueError(
                f"CosegmentationNet: the encoder makes maps of a {stride}th of the size, so {height}x{width} pixels "
                f"don't fit; give multiples of {stride}"
            )
        self._embedding_dim = 2 * height * width
        compared = self.encoder.channels
        if self.correlation is not None:
            compared = self.correlation.channels(height // stride, width // stride)
        return _decoder(self.encoder.channels + compared, self.decoder_channels, stride)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (n, 2 height width) of pairs (n, 2, 3, height, width)."""
        if self.layers is None:
            raise RuntimeError("CosegmentationNet has no layers yet: give it an input_shape, or call build first")
        first, second = self.encoder(inputs.flatten(0, 1)).unflatten(0, (-1, 2)).unbind(1)
        of_first, of_second = (second, first) if self.correlation is None else self.correlation(first, second)
        maps = torch.stack([torch.cat([first, of_first], 1), torch.cat([second, of_second], 1)], 1)
        logits: Tensor = self.layers(maps.flatten(0, 1))
        return logits.unflatten(0, (-1, 2)).flatten(1)


def _decoder(inputs: int, channels: int, stride: int) -> nn.Module:
    layers: list[Any] = [_convolution(inputs, channels), _convolution(channels, channels)]
    while stride > 1:
        smaller = max(8, channels // 2)
        layers += [nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False), _convolution(channels, smaller)]
        channels, stride = smaller, stride // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, kernel_size=1))


def _convolution(inputs: int, outputs: int) -> nn.Sequential:
    # Batch normalisation has a shift of its own.
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())
