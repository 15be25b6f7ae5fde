"""The network of the batch-hard tutorial: two wide convolutions and one linear layer."""

from torch import nn

from metric_lightning.networks.base import EmbeddingNetwork, image_shape


class BatchHardNet(EmbeddingNetwork):
    """The network that the batch-hard tutorial trains on MNIST with batches of 10 classes x 8
    samples.

        conv 128 (7x7, same size), ReLU, max-pool 2,
        conv 256 (5x5, same size), ReLU, max-pool 2, linear embedding_dim

    Parameters start as PyTorch's layers do by default. For 28x28 images of one channel and
    embedding_dim 4 there are 876,036 parameters.

    Args:
        embedding_dim: number of components of an embedding.
        normalize: scale embeddings to unit length.
        input_shape: (channels, height, width) of one image; None: taken from the data by the
            module.

    Shape:
        (n, channels, height, width) to (n, embedding_dim).

    Raises:
        ValueError: `embedding_dim` below 1, or an image smaller than 4x4 pixels.

    References:
        A. Hermans, L. Beyer, B. Leibe, In Defense of the Triplet Loss for Person Re-Identification,
        2017, https://arxiv.org/abs/1703.07737 (the method; the network is the tutorial's)

    Example:
        >>> import torch
        >>> network = BatchHardNet(input_shape=(1, 28, 28))
        >>> network(torch.randn(5, 1, 28, 28)).shape
        torch.Size([5, 4])
        >>> sum(parameter.numel() for parameter in network.parameters())
        876036
    """

    def __init__(
        self,
        embedding_dim: int = 4,
        normalize: bool = False,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize)
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the layers for images of this shape."""
        channels, height, width = image_shape(self, input_shape)
        if min(height, width) < 4:
            raise ValueError(f"BatchHardNet needs images of at least 4x4 pixels, got input_shape={input_shape}")
        return nn.Sequential(
            nn.Conv2d(channels, 128, kernel_size=7, padding=3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(128, 256, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(256 * (height // 4) * (width // 4), self.embedding_dim),
        )
