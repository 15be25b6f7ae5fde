"""The paper's network, layer by layer."""

import pytest
import torch
from torch import nn

from metric_lightning.distances import WeightedL1Distance
from metric_lightning.networks import KochNet


@pytest.fixture(scope="module")
def paper() -> KochNet:
    torch.manual_seed(0)
    return KochNet(input_shape=(1, 105, 105))


def test_the_papers_shapes(paper):
    """Figure 4 of the paper: 96x96, 48x48, 42x42, 21x21, 18x18, 9x9, 6x6, 9216, 4096."""
    shapes, value = [], torch.rand(1, 1, 105, 105)
    with torch.no_grad():
        for layer in paper.layers:
            value = layer(value)
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.Flatten | nn.Linear):
                shapes.append(tuple(value.shape[1:]))
    assert shapes == [
        (64, 96, 96), (64, 48, 48), (128, 42, 42), (128, 21, 21), (128, 18, 18), (128, 9, 9), (256, 6, 6),
        (9216,), (4096,)
    ]  # fmt: skip
    assert 0 <= value.min() and value.max() <= 1


def test_the_papers_number_of_parameters(paper):
    """Worked out by hand from the paper's figure: kernels, and a bias for each output."""
    by_hand = (
        64 * (10 * 10 * 1 + 1)
        + 128 * (7 * 7 * 64 + 1)
        + 128 * (4 * 4 * 128 + 1)
        + 256 * (4 * 4 * 128 + 1)
        + 4096 * (9216 + 1)
    )
    assert sum(item.numel() for item in paper.parameters()) == by_hand == 38_947_648
    head = WeightedL1Distance(embedding_dim=paper.embedding_dim)
    assert by_hand + sum(item.numel() for item in head.parameters()) == 38_951_745


def test_the_papers_start(paper):
    dense, convolution = paper.layers[-2], paper.layers[3]
    assert dense.weight.std().item() == pytest.approx(0.2, rel=0.01)
    assert convolution.weight.std().item() == pytest.approx(0.01, rel=0.01)
    assert dense.bias.mean().item() == pytest.approx(0.5, abs=0.001)
    torch.manual_seed(0)
    other = KochNet(8, [2], [3], paper_start=False, input_shape=(1, 12, 12))
    assert other.layers[0].bias.abs().max() <= 1 / 3  # PyTorch's own: 1 / sqrt(fan in)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"channels": [4], "kernels": [3, 3]}, r"equally many, each at least 1, got \[4\] and \[3, 3\]"),
        ({"channels": [4], "kernels": [0]}, "each at least 1"),
        ({"input_shape": (1, 28, 28)}, "nothing is left of them behind convolution 3; the paper's are 105x105"),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        KochNet(**arguments)
