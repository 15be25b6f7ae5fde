"""The tutorial's network against its description."""

import pytest
import torch
from torch.nn import functional

from metric_lightning.networks import BatchHardNet


@pytest.mark.parametrize(
    ("shape", "embedding_dim", "expected"),
    [
        ((1, 28, 28), 4, (49 * 128 + 128) + (128 * 25 * 256 + 256) + (256 * 7 * 7 * 4 + 4)),
        ((3, 9, 14), 2, (3 * 49 * 128 + 128) + (128 * 25 * 256 + 256) + (256 * 2 * 3 * 2 + 2)),
    ],
)
def test_parameter_count(shape, embedding_dim, expected) -> None:
    network = BatchHardNet(embedding_dim, input_shape=shape)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    assert network(torch.randn(2, *shape)).shape == (2, embedding_dim)


def test_forward_is_the_description() -> None:
    network = BatchHardNet(input_shape=(1, 28, 28))
    p = list(network.parameters())
    x = inputs = torch.randn(3, 1, 28, 28)
    x = functional.max_pool2d(functional.conv2d(x, p[0], p[1], padding="same").relu(), 2)
    x = functional.max_pool2d(functional.conv2d(x, p[2], p[3], padding="same").relu(), 2)
    torch.testing.assert_close(network(inputs), functional.linear(x.flatten(1), p[4], p[5]))


def test_smallest_image() -> None:
    assert BatchHardNet(input_shape=(1, 4, 4))(torch.randn(2, 1, 4, 4)).shape == (2, 4)
    with pytest.raises(ValueError, match="at least 4x4 pixels"):
        BatchHardNet(input_shape=(1, 4, 3))
