"""Sizes of a module's parts that the data know."""

from typing import Any

import torch
from torch import nn

from metric_lightning.types import InputShape


def embedding_dim_of(network: nn.Module, input_shape: InputShape | None) -> int:
    """Return how long a network's outputs are: as it says itself, or as it makes one of a zero input.

    Raises:
        ValueError: it doesn't say, and the shape of an input is not known.
    """
    known = getattr(network, "embedding_dim", None)
    if known is not None:
        return int(known)
    if input_shape is None:
        raise ValueError(
            f"{type(network).__name__} has no attribute embedding_dim and input_shape is not known: give one"
        )
    training = network.training
    network.eval()
    with torch.no_grad():
        dim = network(torch.zeros(1, *input_shape)).shape[1]
    network.train(training)
    return int(dim)


def as_lists(shape: Any) -> Any:
    """Return a shape, nested or not, as lists of integers, which a checkpoint can hold."""
    return [as_lists(part) for part in shape] if isinstance(shape, list | tuple) else int(shape)
