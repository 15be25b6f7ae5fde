"""The one-shot network of Koch, Zemel and Salakhutdinov."""

from collections.abc import Sequence

from torch import nn

from metric_lightning.networks.base import EmbeddingNetwork, image_shape


class KochNet(EmbeddingNetwork):
    """Large convolutions without padding, and a dense layer whose outputs are probabilities of features, 0 to 1.

        for each convolution: conv (`channels` at `kernels`, no padding), ReLU; max-pool 2 behind all but the last;
        dense embedding_dim, sigmoid

    The defaults are the paper's, for 105x105 images of one channel: 64 at 10x10, 128 at 7x7, 128 at 4x4, 256 at 4x4,
    dense 4096; 38,947,648 parameters, and with the 4,097 of `WeightedL1Distance` 38,951,745. Weights start as the
    paper's do: convolutions N(0, 0.01^2), dense N(0, 0.2^2), all biases N(0.5, 0.01^2); with `paper_start=False` as
    PyTorch's layers do by default.

    Args:
        embedding_dim: number of components of an embedding.
        channels: of each convolution.
        kernels: pixels a side of each convolution.
        paper_start: see above.
        normalize: scale embeddings to unit length; not the paper's.
        input_shape: (channels, height, width) of one image; None: taken from the data by the module.

    Shape:
        (n, channels, height, width) to (n, embedding_dim).

    Raises:
        ValueError: a number below 1, not as many kernels as channels, or an image too small.

    References:
        Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition (ICML workshop 2015).

    Example:
        >>> import torch
        >>> network = KochNet(embedding_dim=8, channels=[4, 8], kernels=[5, 3], input_shape=(1, 28, 28))
        >>> network(torch.randn(5, 1, 28, 28)).shape
        torch.Size([5, 8])
    """

    def __init__(
        self,
        embedding_dim: int = 4096,
        channels: Sequence[int] = (64, 128, 128, 256),
        kernels: Sequence[int] = (10, 7, 4, 4),
        paper_start: bool = True,
        normalize: bool = False,
        input_shape: tuple[int, int, int] | None = None,
    ):
        super().__init__(embedding_dim, normalize)
        if not channels or len(channels) != len(kernels) or min(*channels, *kernels) < 1:
            raise ValueError(
                f"KochNet: channels and kernels must be equally many, each at least 1, got {channels} and {kernels}"
            )
        self.channels, self.kernels = tuple(channels), tuple(kernels)
        self.paper_start = paper_start
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return the layers for images of this shape."""
        inputs, *sizes = image_shape(self, input_shape)
        layers: list[nn.Module] = []
        for number, (channels, kernel) in enumerate(zip(self.channels, self.kernels, strict=True)):
            if number:
                layers.append(nn.MaxPool2d(2))
                sizes = [size // 2 for size in sizes]
            layers += [nn.Conv2d(inputs, channels, kernel), nn.ReLU()]
            inputs, sizes = channels, [size - kernel + 1 for size in sizes]
            if min(sizes) < 1:
                raise ValueError(
                    f"KochNet with kernels {self.kernels} needs larger images than input_shape={input_shape}: nothing "
                    f"is left of them behind convolution {number + 1}; the paper's are 105x105"
                )
        layers += [nn.Flatten(), nn.Linear(inputs * sizes[0] * sizes[1], self.embedding_dim), nn.Sigmoid()]
        if self.paper_start:
            for layer in layers:
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    nn.init.normal_(layer.weight, std=0.01 if isinstance(layer, nn.Conv2d) else 0.2)
                    nn.init.normal_(layer.bias, mean=0.5, std=0.01)  # type: ignore[arg-type]
        return nn.Sequential(*layers)
