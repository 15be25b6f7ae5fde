"""The few-shot network against its description, and pixels as an embedding."""

import pytest
import torch
from torch.nn import functional

from metric_lightning.networks import Conv4, Pixels


@pytest.mark.parametrize(
    ("shape", "channels", "poolings", "flat"),
    [((1, 28, 28), 8, 4, 8), ((3, 33, 50), 8, 4, 8 * 2 * 3), ((1, 28, 28), [4, 5, 6, 7], 3, 7 * 3 * 3)],
)
def test_forward_is_the_description(shape, channels, poolings, flat) -> None:
    network = Conv4(embedding_dim=5, channels=channels, pool_last=poolings == 4, input_shape=shape).eval()
    p = dict(network.named_parameters())
    x = inputs = torch.randn(3, *shape)
    for block in range(4):
        x = functional.conv2d(x, p[f"layers.{block}.0.weight"], padding=1)
        x = x / (1 + 1e-5) ** 0.5 * p[f"layers.{block}.1.weight"].view(1, -1, 1, 1)  # mean 0, variance 1 at first
        x = (x + p[f"layers.{block}.1.bias"].view(1, -1, 1, 1)).relu()
        x = functional.max_pool2d(x, 2) if block < poolings else x
    assert x.flatten(1).shape[1] == flat
    expected = functional.linear(x.flatten(1), p["layers.5.weight"], p["layers.5.bias"])
    torch.testing.assert_close(network(inputs), expected)


def test_refusals_and_unit_length() -> None:
    with pytest.raises(ValueError, match="at least 16x16 pixels"):
        Conv4(input_shape=(1, 16, 15))
    with pytest.raises(ValueError, match="at least 8x8 pixels"):
        Conv4(input_shape=(1, 16, 7), pool_last=False)
    for channels in (0, [8, 8, 8], [8, 8, 8, 0]):
        with pytest.raises(ValueError, match="a number of at least 1, or four of them, got"):
            Conv4(channels=channels)
    embeddings = Conv4(normalize=True, input_shape=(1, 16, 16))(torch.randn(4, 1, 16, 16))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))


def test_pixels_are_the_inputs() -> None:
    network = Pixels()
    network.build((2, 3, 4))
    inputs = torch.randn(5, 2, 3, 4)
    assert network.embedding_dim == 24 and torch.equal(network(inputs), inputs.flatten(1))
    torch.testing.assert_close(Pixels(True, (2, 3, 4))(inputs).norm(dim=1), torch.ones(5))
    assert len(list(network.parameters())) == 1
