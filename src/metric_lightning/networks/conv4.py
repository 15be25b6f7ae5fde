"""Four blocks of 64 convolutions: the network of the few-shot literature."""

from torch import nn

from metric_lightning.networks.base import EmbeddingNetwork, image_shape

_BLOCKS = 4


class Conv4(EmbeddingNetwork):
    """The network that few-shot methods are compared with on Omniglot, with a linear layer behind it.

        4 x (conv `channels` (3x3, same size), batch normalisation, ReLU, max-pool 2), linear embedding_dim

    Parameters start as PyTorch's layers do by default. For 28x28 images of one channel, 64 channels and
    embedding_dim 64 there are 115,840 parameters.

    Args:
        embedding_dim: number of components of an embedding.
        channels: of each convolution.
        normalize: scale embeddings to unit length.
        input_shape: (channels, height, width) of one image; None: taken from the data by the module.

    Shape:
        (n, channels, height, width) to (n, embedding_dim).

    Raises:
        ValueError: `embedding_dim` or `channels` below 1, or an image smaller than 16x16 pixels.

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
        channels: int = 64,
        normalize: bool = False,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize)
        if channels < 1:
            raise ValueError(f"Conv4: channels must be at least 1, got {channels}")
        self.channels = channels
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the layers for images of this shape."""
        channels, height, width = image_shape(self, input_shape)
        rows, columns = (size >> _BLOCKS for size in (height, width))
        if min(rows, columns) < 1:
            raise ValueError(f"Conv4 needs images of at least 16x16 pixels, got input_shape={input_shape}")
        blocks = [_block(channels if number == 0 else self.channels, self.channels) for number in range(_BLOCKS)]
        return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(self.channels * rows * columns, self.embedding_dim))


def _block(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(
        # Batch normalisation has a shift of its own.
        nn.Conv2d(inputs, outputs, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.MaxPool2d(2),
    )
