"""The reference network: two convolutions and three dense layers."""

from torch import nn

from metric_lightning.networks.base import EmbeddingNetwork, image_shape


class EmbeddingNet(EmbeddingNetwork):
    """The network of the reference experiments on MNIST: small, yet enough to compare methods.

        conv 32 (5x5), PReLU, max-pool 2, conv 64 (5x5), PReLU, max-pool 2,
        dense 256, PReLU, dense 256, PReLU, dense embedding_dim

    Each PReLU has one learnt slope, 0.25 at first. Parameters start as PyTorch's layers do by
    default. For 28x28 images of one channel and embedding_dim 2 there are 380,806 parameters.

    Args:
        embedding_dim: number of components of an embedding.
        normalize: scale embeddings to unit length.
        padding: zeros added on each side of what a convolution sees. 0 is the reference; an image
            is then at least 16x16 pixels. With 2 a convolution keeps the size, and 4x4 pixels
            suffice.
        input_shape: (channels, height, width) of one image; None: taken from the data by the
            module.

    Shape:
        (n, channels, height, width) to (n, embedding_dim).

    Raises:
        ValueError: `embedding_dim` below 1, `padding` below 0, or an image too small for two
            convolutions.

    References:
        A. Bielski, siamese-triplet, https://github.com/adambielski/siamese-triplet

    Example:
        >>> import torch
        >>> network = EmbeddingNet(embedding_dim=2, normalize=True, input_shape=(1, 28, 28))
        >>> network(torch.randn(5, 1, 28, 28)).shape
        torch.Size([5, 2])
        >>> sum(parameter.numel() for parameter in network.parameters())
        380806
    """

    def __init__(
        self,
        embedding_dim: int = 2,
        normalize: bool = False,
        padding: int = 0,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize)
        if padding < 0:
            raise ValueError(f"EmbeddingNet: padding must be at least 0, got {padding}")
        self.padding = padding
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the layers for images of this shape."""
        channels, height, width = image_shape(self, input_shape)
        rows, columns = (self._pooled(self._pooled(size)) for size in (height, width))
        if min(rows, columns) < 1:
            smallest = max(16 - 6 * self.padding, 4)
            raise ValueError(
                f"EmbeddingNet with padding={self.padding} needs images of at least "
                f"{smallest}x{smallest} pixels, got input_shape={input_shape}; padding=2 admits 4x4"
            )
        return nn.Sequential(
            nn.Conv2d(channels, 32, kernel_size=5, padding=self.padding),
            nn.PReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, kernel_size=5, padding=self.padding),
            nn.PReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * rows * columns, 256),
            nn.PReLU(),
            nn.Linear(256, 256),
            nn.PReLU(),
            nn.Linear(256, self.embedding_dim),
        )

    def _pooled(self, size: int) -> int:
        """Return what a 5x5 convolution and a max-pool of 2 leave of `size` pixels."""
        return max(size - 4 + 2 * self.padding, 0) // 2
