"""Four blocks of 64 convolutions: the network of the few-shot literature."""

import itertools
from collections.abc import Sequence

from torch import nn

from metric_lightning.networks.base import EmbeddingNetwork, image_shape

_BLOCKS = 4


class Conv4(EmbeddingNetwork):
    """The network that few-shot methods are compared with on Omniglot, with a linear layer behind it.

        4 x (conv `channels` (3x3, same size), batch normalisation, ReLU, max-pool 2), linear embedding_dim

    Without the last pooling the linear layer sees 3x3 places of a 28x28 image in place of one, in which strokes are
    told apart better. Parameters start as PyTorch's layers do by default. For 28x28 images of one channel, 64 channels
    and embedding_dim 64 there are 115,840 parameters.

    Args:
        embedding_dim: number of components of an embedding.
        channels: of each convolution; one number, or four.
        pool_last: max-pool behind the last convolution too.
        normalize: scale embeddings to unit length.
        input_shape: (channels, height, width) of one image; None: taken from the data by the module.

    Shape:
        (n, channels, height, width) to (n, embedding_dim).

    Raises:
        ValueError: `embedding_dim` or `channels` below 1, not four of them, or an image smaller than 16x16 pixels (8x8
            without the last pooling).

    References:
        O. Vinyals et al., Matching Networks for One Shot Learning, 2016, https://arxiv.org/abs/1606.04080
        J. Snell, K. Swersky, R. Zemel, Prototypical Networks for Few-shot Learning, 2017,
        https://arxiv.org/abs/1703.05175 (both without the linear layer)

    Example:
        >>> import torch
        >>> network = Conv4(input_shape=(1, 28, 28))
        >>> network(torch.randn(5, 1, 28, 28)).shape
        torch.Size([5, 64])
        >>> sum(parameter.numel() for parameter in network.parameters())
        115840
    """

    def __init__(
        self,
        embedding_dim: int = 64,
        channels: int | Sequence[int] = 64,
        pool_last: bool = True,
        normalize: bool = False,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize)
        self.channels = [channels] * _BLOCKS if isinstance(channels, int) else list(channels)
        if len(self.channels) != _BLOCKS or min(self.channels) < 1:
            raise ValueError(f"Conv4: channels must be a number of at least 1, or four of them, got {channels}")
        self.pool_last = pool_last
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the layers for images of this shape."""
        channels, height, width = image_shape(self, input_shape)
        poolings = _BLOCKS if self.pool_last else _BLOCKS - 1
        rows, columns = (size >> poolings for size in (height, width))
        if min(rows, columns) < 1:
            side = 1 << poolings
            raise ValueError(f"Conv4 needs images of at least {side}x{side} pixels, got input_shape={input_shape}")
        sizes = itertools.pairwise([channels, *self.channels])
        blocks = [_block(*size, pooled=number < poolings) for number, size in enumerate(sizes)]
        return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(self.channels[-1] * rows * columns, self.embedding_dim))


def _block(inputs: int, outputs: int, pooled: bool) -> nn.Module:
    layers: list[nn.Module] = [
        # Batch normalisation has a shift of its own.
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]
    return nn.Sequential(*layers, nn.MaxPool2d(2)) if pooled else nn.Sequential(*layers)
