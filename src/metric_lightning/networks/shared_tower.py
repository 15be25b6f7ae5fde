"""One network for both views of a sample."""

from typing import Any

import torch
from torch import Tensor, nn

from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.types import InputShape, TwoViews


class SharedTower(EmbeddingNetwork):
    """Embeds both views by one and the same network (a siamese network): two texts, two pictures.

    The embedding of a sample is both side by side, (n, 2 D), as that of `TwoTowers`.

    Args:
        network: of either view.
        input_shape: the shapes of one input of each view, equal; None: taken from the data by the module.

    Raises:
        ValueError: views of different shapes.

    Example:
        >>> from metric_lightning.networks import EmbeddingNet
        >>> tower = SharedTower(EmbeddingNet(8), input_shape=((1, 28, 28), (1, 28, 28)))
        >>> tower(TwoViews(torch.zeros(3, 1, 28, 28), torch.ones(3, 1, 28, 28))).shape
        torch.Size([3, 16])
    """

    def __init__(self, network: EmbeddingNetwork, input_shape: InputShape | None = None):
        super().__init__(2 * network.embedding_dim)
        self._tower = (network,)  # parameters are there after `build` only, under `layers`
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[Any, ...]) -> nn.Module:
        """Return the network, built for the shape of either view."""
        if len(input_shape) != 2 or not isinstance(input_shape[0], tuple) or input_shape[0] != input_shape[1]:
            raise ValueError(
                f"SharedTower needs two views of one shape, got input_shape={input_shape}; TwoTowers others"
            )
        self._tower[0].build(input_shape[0])
        return _Both(*self._tower)


class _Both(nn.Module):
    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, inputs: TwoViews) -> Tensor:
        return torch.cat([self.network(inputs.first), self.network(inputs.second)], dim=1)
