"""The base of networks that make embeddings: sized late if need be, unit length on request."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.parts import Part
from metric_lightning.types import InputShape


class EmbeddingNetwork(Part, nn.Module, ABC):
    """Maps inputs to embeddings: (n, *input_shape) to (n, embedding_dim).

    The size of one input is the data's affair. A network that is given `input_shape` has its layers
    at once; one that isn't gets them by `build`, which a module calls when it knows the data. Until
    then it has no parameters.

    A subclass makes its layers in `make_layers` and ends its `__init__` with
    `if input_shape is not None: self.build(input_shape)`; nothing else is to be written.

    Args:
        embedding_dim: number of components of an embedding, at least 1.
        normalize: scale embeddings to unit length; a zero embedding stays zero (see `unit_rows`).

    Attributes:
        layers: what `make_layers` made; None before `build`.

    Raises:
        ValueError: `embedding_dim` is below 1.

    Example:
        >>> import torch
        >>> class LinearNet(EmbeddingNetwork):
        ...     def __init__(self, embedding_dim: int, input_shape: tuple[int, int] | None = None):
        ...         super().__init__(embedding_dim)
        ...         if input_shape is not None:
        ...             self.build(input_shape)
        ...
        ...     def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        ...         size = torch.Size(input_shape).numel()
        ...         return nn.Sequential(nn.Flatten(), nn.Linear(size, self.embedding_dim))
        >>> network = LinearNet(embedding_dim=2)
        >>> network.build((3, 4))
        >>> network(torch.zeros(5, 3, 4)).shape
        torch.Size([5, 2])
    """

    layers: nn.Module | None

    def __init__(self, embedding_dim: int, normalize: bool = False):
        super().__init__()
        if embedding_dim < 1:
            raise ValueError(f"{type(self).__name__}: embedding_dim must be at least 1, got {embedding_dim}")
        self._embedding_dim = embedding_dim
        self._built_for: InputShape | None = None
        self.normalize = normalize
        self.register_module("layers", None)

    @property
    def embedding_dim(self) -> int:
        """Number of components of an embedding."""
        return self._embedding_dim

    @property
    def built_for(self) -> InputShape | None:
        """Shape of one input, or None before `build`."""
        return self._built_for

    def build(self, input_shape: Sequence[Any]) -> None:
        """Make the layers for inputs of shape (n, *input_shape), unless they are there already.

        Call it before an optimizer asks for the parameters and before a state dict is loaded.

        Args:
            input_shape: shape of one input, see `types.InputShape`: (channels, height, width) for an image.

        Raises:
            ValueError: the layers exist for another shape, or can't be made for this one.
        """
        shape = as_shape(input_shape)
        if shape == self._built_for:
            return
        if self._built_for is not None:
            raise ValueError(
                f"{type(self).__name__} is built for inputs of shape {self._built_for} and can't "
                f"be built again for input_shape={shape}; make a new one"
            )
        if min(_sizes(shape), default=0) < 1:
            raise ValueError(f"{type(self).__name__}: input_shape must hold sizes of at least 1, got {shape}")
        self.layers = self.make_layers(shape).train(self.training)
        self._built_for = shape

    @abstractmethod
    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        """Return layers that map (n, *input_shape) to (n, embedding_dim); `build` calls it once.

        Raises:
            ValueError: the network can't take inputs of that shape; the message says which it can.
        """

    def forward(self, inputs: Any) -> Tensor:
        """Return the embeddings (n, embedding_dim) of inputs (n, *input_shape); n may be 0.

        Raises:
            RuntimeError: the network isn't built.
        """
        if self.layers is None:
            raise RuntimeError(
                f"{type(self).__name__} has no layers yet: give it an input_shape, "
                "(channels, height, width) for images, or call build(input_shape) first"
            )
        return self.as_asked(self.layers(inputs))

    def as_asked(self, embeddings: Tensor) -> Tensor:
        """Return embeddings (n, embedding_dim) of unit length where that is asked for."""
        return unit_rows(embeddings) if self.normalize else embeddings

    def learning_rates(self) -> list[tuple[float, list[nn.Parameter]]]:
        """Return groups of all parameters, each with its learning rate in units of the optimizer's; 1 first."""
        return [(1.0, list(self.parameters()))]


def as_shape(shape: Sequence[Any]) -> Any:
    """Return a shape, or the shapes of two views, as tuples of whole numbers.

    Example:
        >>> as_shape([[1, 28, 28], [5]]), as_shape((3,))
        (((1, 28, 28), (5,)), (3,))
    """
    return tuple(as_shape(size) if isinstance(size, Sequence) else int(size) for size in shape)


def _sizes(shape: Sequence[Any]) -> list[int]:
    return [size for part in shape for size in (_sizes(part) if isinstance(part, Sequence) else [part])]


def image_shape(network: nn.Module, input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return `input_shape` as (channels, height, width).

    Raises:
        ValueError: it is no image's shape; the message names the network.
    """
    if len(input_shape) != 3:
        raise ValueError(
            f"{type(network).__name__} takes images: input_shape must be (channels, height, width), got {input_shape}"
        )
    channels, height, width = input_shape
    return channels, height, width
