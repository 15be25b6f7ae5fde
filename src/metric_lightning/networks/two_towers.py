"""Two networks, one for each view of a sample, into one space."""

from typing import Any

import torch
from torch import Tensor, nn

from metric_lightning.networks.base import EmbeddingNetwork
from metric_lightning.types import InputShape, TwoViews


class TwoTowers(EmbeddingNetwork):
    """Embeds each of two views by a network of its own (a pseudo-siamese network), into the same space.

    The embedding of a sample is both side by side, (n, 2 D): the first view's in the first half, the second view's in
    the second. `TwoTowerModule` trains the halves to meet, and `metrics.CrossViewRetrieval` compares them.

    Args:
        first: network of the first view.
        second: network of the second view, with as many components.
        input_shape: the shapes of one input of each; None: taken from the data by the module.

    Shape:
        `TwoViews` of n to (n, 2 D).

    Raises:
        ValueError: embeddings of different sizes, or inputs that are no two views.

    Example:
        >>> from metric_lightning.networks import EmbeddingNet, LSTMNet
        >>> from metric_lightning.types import Sequences
        >>> towers = TwoTowers(EmbeddingNet(8), LSTMNet(8), input_shape=((1, 28, 28), (5,)))
        >>> pens = Sequences(torch.zeros(3, 7, 5), torch.tensor([7, 2, 4]))
        >>> towers(TwoViews(torch.zeros(3, 1, 28, 28), pens)).shape
        torch.Size([3, 16])
    """

    def __init__(self, first: EmbeddingNetwork, second: EmbeddingNetwork, input_shape: InputShape | None = None):
        if first.embedding_dim != second.embedding_dim:
            raise ValueError(
                f"TwoTowers: both networks must embed into one space, got embedding_dim {first.embedding_dim} and "
                f"{second.embedding_dim}"
            )
        super().__init__(2 * first.embedding_dim)
        self._towers = (first, second)  # parameters are there after `build` only, under `layers`
        if input_shape is not None:
            self.build(input_shape)

    def make_layers(self, input_shape: tuple[Any, ...]) -> nn.Module:
        """Return both networks, built for the shapes of both views."""
        if len(input_shape) != 2 or not all(isinstance(shape, tuple) for shape in input_shape):
            raise ValueError(
                f"TwoTowers needs the shapes of two views, got input_shape={input_shape}; use data with two"
            )
        for tower, shape in zip(self._towers, input_shape, strict=True):
            tower.build(shape)
        return _SideBySide(*self._towers)


class _SideBySide(nn.Module):
    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, inputs: TwoViews) -> Tensor:
        return torch.cat([self.first(inputs.first), self.second(inputs.second)], dim=1)
