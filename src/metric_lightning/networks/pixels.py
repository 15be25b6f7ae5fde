"""The inputs themselves as embeddings: the baseline that any network has to beat."""

import torch
from torch import Tensor, nn

from metric_lightning.networks.base import EmbeddingNetwork


class Pixels(EmbeddingNetwork):
    """Takes the pixels as they are, flattened, for the embedding. It learns nothing.

    An optimizer refuses to have nothing to do, so there is one parameter, a factor that is 1. With a learning rate of 0
    it stays so; no neighbour would change with it anyway.

    Args:
        normalize: scale embeddings to unit length.
        input_shape: shape of one input; None: taken from the data by the module.

    Shape:
        (n, *input_shape) to (n, number of pixels).

    Attributes:
        embedding_dim: number of pixels; 1 before `build`.

    Example:
        >>> network = Pixels(input_shape=(1, 2, 2))
        >>> network.embedding_dim, network(torch.ones(3, 1, 2, 2)).shape
        (4, torch.Size([3, 4]))
    """

    def __init__(self, normalize: bool = False, input_shape: tuple[int, ...] | None = None):
        super().__init__(1, normalize)
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return a flattening layer."""
        self._embedding_dim = 1
        for size in input_shape:
            self._embedding_dim *= size
        return _FlatAndScaled()


class _FlatAndScaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.ones(()))

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1) * self.factor
