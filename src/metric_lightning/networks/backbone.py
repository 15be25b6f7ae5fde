"""The base of pretrained networks: a trunk that makes features, a fresh head behind it, and how each of them learns.

n images, F features.
"""

from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from metric_lightning.networks.base import EmbeddingNetwork, image_shape
from metric_lightning.networks.heads import Head, LinearHead


class Backbone(EmbeddingNetwork, ABC):
    """A trunk of a well-kept library, (n, 3, h, w) to features (n, F), and a head, (n, F) to (n, embedding_dim).

    An image with one channel is shown as three equal ones. Inputs (n, F) are taken for features that the trunk has
    made already (see `callbacks.CachedFeatures`).

    A subclass makes the trunk in `make_trunk` and ends its `__init__` as `EmbeddingNetwork` says.

    Args:
        embedding_dim: number of components of an embedding.
        normalize: scale embeddings to unit length.
        head: None: `LinearHead()`.
        frozen: the trunk never changes: neither its weights nor the statistics of its batch normalisation; its dropout
            is off.
        lr_scale: learning rate of the trunk in units of the head's; 0.1, say, for pretrained weights.
        freeze_batch_norm: the trunk's batch normalisation keeps statistics, scales and shifts as they are, which is
            best for small batches.

    Attributes:
        layers: `layers.trunk` and `layers.head`; None before `build`.

    Raises:
        ValueError: lr_scale isn't above 0, or see `EmbeddingNetwork`.
    """

    def __init__(
        self,
        embedding_dim: int,
        normalize: bool,
        head: Head | None,
        frozen: bool,
        lr_scale: float,
        freeze_batch_norm: bool,
    ):
        super().__init__(embedding_dim, normalize)
        if not lr_scale > 0:
            raise ValueError(f"{type(self).__name__}: lr_scale must be above 0, got {lr_scale}; frozen: true is for 0")
        self.head = LinearHead() if head is None else head
        self.frozen = frozen
        self.lr_scale = lr_scale
        self.freeze_batch_norm = freeze_batch_norm

    @abstractmethod
    def make_trunk(self, input_shape: tuple[int, int, int]) -> tuple[nn.Module, int]:
        """Return layers that map (n, 3, h, w) to (n, F), and F.

        Raises:
            ValueError: it can't take such images.
        """

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        channels, height, width = image_shape(self, input_shape)
        if channels not in (1, 3):
            raise ValueError(f"{type(self).__name__} takes images of 1 or 3 channels, got input_shape={input_shape}")
        trunk, features = self.make_trunk((channels, height, width))
        if self.frozen:
            trunk.requires_grad_(False)
        elif self.freeze_batch_norm:
            for layer in batch_norms(trunk):
                layer.requires_grad_(False)
        return nn.Sequential(OrderedDict(trunk=trunk, head=self.head.make(features, self.embedding_dim)))

    def build(self, input_shape: Sequence[int]) -> None:
        super().build(input_shape)
        self.train(self.training)  # what is frozen stays in evaluation mode

    def train(self, mode: bool = True) -> "Backbone":
        """Set the mode of all layers but the frozen ones."""
        super().train(mode)
        if self.layers is not None and self.frozen:
            self._layer("trunk").eval()
        elif self.layers is not None and self.freeze_batch_norm:
            for layer in batch_norms(self._layer("trunk")):
                layer.eval()
        return self

    def features(self, images: Tensor) -> Tensor:
        """Return the trunk's features (n, F) of images (n, 1 or 3, h, w)."""
        found: Tensor = self._layer("trunk")(images.expand(-1, 3, -1, -1) if images.shape[1] == 1 else images)
        return found

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the embeddings (n, embedding_dim) of images (n, 1 or 3, h, w), or of features (n, F).

        Raises:
            RuntimeError: the network isn't built.
        """
        if self.layers is None:
            return super().forward(inputs)  # says so
        embeddings: Tensor = self._layer("head")(inputs if inputs.ndim == 2 else self.features(inputs))
        return self.as_asked(embeddings)

    def learning_rates(self) -> list[tuple[float, list[nn.Parameter]]]:
        if self.layers is None or self.lr_scale == 1:
            return super().learning_rates()
        head, trunk = (list(self._layer(name).parameters()) for name in ("head", "trunk"))
        return [(1.0, head), (self.lr_scale, trunk)]

    def _layer(self, name: str) -> nn.Module:
        assert self.layers is not None
        return self.layers.get_submodule(name)


def batch_norms(module: nn.Module) -> list[nn.Module]:
    """Return all layers of batch normalisation."""
    return [layer for layer in module.modules() if isinstance(layer, _BatchNorm)]


def number_of_features(model: nn.Module, height: int, width: int) -> int:
    """Push an image through a model on the meta device, shapes only, at next to no cost; return F.

    Raises:
        ValueError: the outputs are not (n, F).
    """
    tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    ghosts = {name: torch.empty_like(value, device="meta") for name, value in tensors.items()}
    image = torch.empty(1, 3, height, width, device="meta")
    training = model.training
    model.eval()
    try:
        shape = tuple(torch.func.functional_call(model, ghosts, (image,)).shape)
    finally:
        model.train(training)
    if len(shape) != 2 or shape[0] != 1:
        raise ValueError(f"it gives {shape} instead of (1, F)")
    return int(shape[1])


def refusal(network: nn.Module, name: str, input_shape: tuple[int, ...], error: Exception) -> str:
    """Return, in one line, that a model can't take images of a shape, and why."""
    reason = str(error).strip().split("\n")[0] or type(error).__name__
    return f"{type(network).__name__}: {name} can't take images of input_shape={input_shape}: {reason}"
