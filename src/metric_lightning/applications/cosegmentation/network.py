"""The siamese encoder, what compares the two images, and the siamese decoder."""

from typing import Any

import torch
from torch import Tensor, nn

from metric_lightning.applications.cosegmentation.correlation import MutualCorrelation
from metric_lightning.applications.cosegmentation.encoders import Encoder, SmallEncoder, convolution
from metric_lightning.networks import EmbeddingNetwork
from metric_lightning.networks.base import image_shape


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
        decoder_channels: of the decoder's first convolutions; halved each time that it doubles the size. Logits are
            made at half the size and scaled.
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

    def features(self, inputs: Tensor) -> Tensor:
        """Return feature maps (n, 2, channels, height / stride, width / stride) of pairs (n, 2, 3, height, width)."""
        maps: Tensor = self.encoder(inputs.flatten(0, 1)).unflatten(0, (-1, 2))
        return maps

    def compared(self, features: Tensor) -> Tensor:
        """Return the logits (n, 2 height width) of pairs of feature maps."""
        if self.layers is None:
            raise RuntimeError("CosegmentationNet has no layers yet: give it an input_shape, or call build first")
        first, second = features.unbind(1)
        of_first, of_second = (second, first) if self.correlation is None else self.correlation(first, second)
        maps = torch.stack([torch.cat([first, of_first], 1), torch.cat([second, of_second], 1)], 1)
        logits: Tensor = self.layers(maps.flatten(0, 1))
        return logits.unflatten(0, (-1, 2)).flatten(1)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits (n, 2 height width) of pairs (n, 2, 3, height, width)."""
        return self.compared(self.features(inputs))


def _decoder(inputs: int, channels: int, stride: int) -> nn.Module:
    # What is compared comes on scales of its own, cosines with little spread, which the normalisation makes as loud as
    # features. One place at first: all displacements are many channels, 3x3 of them would be most of all the work.
    layers: list[Any] = [nn.BatchNorm2d(inputs), convolution(inputs, channels, size=1), convolution(channels, channels)]
    while stride > 2:
        smaller = max(8, channels // 2)
        layers += [_upsample(2), convolution(channels, smaller)]
        channels, stride = smaller, stride // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, kernel_size=1), _upsample(stride))


def _upsample(factor: int) -> nn.Module:
    return nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False)
