"""Views of an image: against torchvision's own transforms, in evaluation only, through a checkpoint."""

import pytest
import torch
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import affine

from metric_lightning.losses import TripletMarginLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import AveragedViews, Conv4, EmbeddingNetwork, Pixels


class Flat(EmbeddingNetwork):
    def make_layers(self, input_shape):
        return torch.nn.Flatten()


def images_with_empty_borders(rows: int = 24, columns: int = 32) -> torch.Tensor:
    images = torch.zeros(3, 1, rows, columns)
    images[:, :, 7:-7, 9:-9] = torch.rand(3, 1, rows - 14, columns - 18)
    return images


@pytest.mark.parametrize(
    ("rotation", "scale", "shift"), [(0.0, 1.0, 0.0), (12.0, 1.0, 0.0), (0.0, 0.9, 0.0), (-7.0, 1.1, 1.5)]
)
def test_a_view_is_torchvisions(rotation, scale, shift):
    images = images_with_empty_borders()
    network = AveragedViews(Flat(24 * 32), [rotation], [scale], [shift], input_shape=(1, 24, 32)).eval()
    # torchvision turns clockwise, as one sees it
    expected = affine(images, -rotation, [shift, shift], scale, [0.0, 0.0], InterpolationMode.BILINEAR)
    torch.testing.assert_close(network(images), expected.flatten(1), atol=2e-5, rtol=0)


def test_evaluation_takes_the_mean_and_training_the_image():
    images = images_with_empty_borders()
    inner = Conv4(8, 4, normalize=True, input_shape=(1, 24, 32))
    network = AveragedViews(inner, rotations=[-10, 0], scales=[0.9, 1], shifts=[-1, 0, 1], input_shape=(1, 24, 32))
    assert len(network.views) == 2 * 2 * 9
    network.train()
    found = network(images)
    inner.train()
    torch.testing.assert_close(found, inner(images))
    network.eval()
    views = [
        inner(affine(images, -rotation, [x, y], scale, [0.0, 0.0], InterpolationMode.BILINEAR))
        for rotation, scale, x, y in network.views
    ]
    expected = torch.nn.functional.normalize(torch.stack(views).mean(0))
    torch.testing.assert_close(network(images), expected, atol=1e-5, rtol=0)
    assert network(images[:0]).shape == (0, 8)


def test_the_size_of_embeddings_is_the_networks():
    assert AveragedViews(Pixels(), input_shape=(1, 4, 5)).embedding_dim == 20  # known once it is built


def test_the_module_remembers_the_views(tmp_path):
    network = AveragedViews(Conv4(8, 4), rotations=[-5, 5])
    module = EmbeddingModule(network, TripletMarginLoss(margin=1.0))
    module.build(3, (1, 28, 28))
    assert all(name.startswith("layers.network.layers") for name in network.state_dict())
    other = EmbeddingModule(AveragedViews(Conv4(8, 4), rotations=[-5, 5]), TripletMarginLoss(margin=1.0))
    other.build(3, (1, 28, 28))
    other.load_state_dict(module.state_dict())
    images = torch.rand(2, 1, 28, 28)
    assert torch.equal(module.eval()(images), other.eval()(images))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rotations": []}, r"rotations must be one or more finite numbers, got \[\]"),
        ({"shifts": [float("nan")]}, "shifts must be one or more finite numbers"),
        ({"scales": [0.0, 1.0]}, "scales must be above 0"),
    ],
)
def test_bad_views_are_named(arguments, said):
    with pytest.raises(ValueError, match=said):
        AveragedViews(Conv4(8, 4), **arguments)
