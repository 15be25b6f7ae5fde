"""The reference network against its description, layer by layer."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from metric_lightning.networks import EmbeddingNet


def parameters(channels: int, height: int, width: int, embedding_dim: int, padding: int = 0) -> int:
    """Count by hand: weights and biases, four slopes."""

    def pooled(size: int) -> int:
        return (size + 2 * padding - 4) // 2

    flat = 64 * pooled(pooled(height)) * pooled(pooled(width))
    convolutions = (channels * 25 * 32 + 32) + (32 * 25 * 64 + 64)
    dense = (flat * 256 + 256) + (256 * 256 + 256) + (256 * embedding_dim + embedding_dim)
    return convolutions + dense + 4


@pytest.mark.parametrize(
    ("shape", "embedding_dim", "padding"),
    [((1, 28, 28), 2, 0), ((1, 28, 28), 64, 0), ((3, 32, 48), 16, 0), ((1, 8, 8), 2, 2)],
)
def test_parameter_count(shape, embedding_dim, padding) -> None:
    network = EmbeddingNet(embedding_dim, padding=padding, input_shape=shape)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count == parameters(*shape, embedding_dim, padding)
    assert network(torch.randn(2, *shape)).shape == (2, embedding_dim)


def test_reference_count_by_hand() -> None:
    assert parameters(1, 28, 28, 2) == 832 + 51_264 + 262_400 + 65_792 + 514 + 4 == 380_806


def test_forward_is_the_description() -> None:
    network = EmbeddingNet(input_shape=(1, 28, 28))
    p = list(network.parameters())
    x = inputs = torch.randn(3, 1, 28, 28)
    x = functional.max_pool2d(functional.prelu(functional.conv2d(x, p[0], p[1]), p[2]), 2)
    x = functional.max_pool2d(functional.prelu(functional.conv2d(x, p[3], p[4]), p[5]), 2)
    x = functional.prelu(functional.linear(x.flatten(1), p[6], p[7]), p[8])
    x = functional.prelu(functional.linear(x, p[9], p[10]), p[11])
    x = functional.linear(x, p[12], p[13])
    torch.testing.assert_close(network(inputs), x)


def test_initialisation_is_that_of_torch() -> None:
    torch.manual_seed(1)
    network = EmbeddingNet(input_shape=(1, 28, 28))
    torch.manual_seed(1)
    layers = [
        nn.Conv2d(1, 32, 5),
        nn.PReLU(),
        nn.Conv2d(32, 64, 5),
        nn.PReLU(),
        nn.Linear(1024, 256),
        nn.PReLU(),
        nn.Linear(256, 256),
        nn.PReLU(),
        nn.Linear(256, 2),
    ]
    expected = [parameter for layer in layers for parameter in layer.parameters()]
    for own, theirs in zip(network.parameters(), expected, strict=True):
        assert torch.equal(own, theirs)


@pytest.mark.parametrize(("padding", "smallest"), [(0, 16), (1, 10), (2, 4)])
def test_smallest_image(padding: int, smallest: int) -> None:
    shape = (1, smallest, smallest)
    network = EmbeddingNet(padding=padding, input_shape=shape)
    assert network(torch.randn(2, *shape)).shape == (2, 2)
    with pytest.raises(ValueError, match=rf"at least {smallest}x{smallest} pixels.*padding=2"):
        EmbeddingNet(padding=padding, input_shape=(1, smallest - 1, 28))


def test_refuses_negative_padding() -> None:
    with pytest.raises(ValueError, match="padding must be at least 0, got -1"):
        EmbeddingNet(padding=-1)
