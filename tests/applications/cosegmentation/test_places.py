import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from metric_lightning.applications.cosegmentation import (
    CosegmentationModule,
    CosegmentationNet,
    MutualCorrelation,
    PlaceLoss,
    SmallEncoder,
)
from metric_lightning.applications.cosegmentation.pairs import MaskedPairs
from metric_lightning.data import Batch
from metric_lightning.losses import SoftmaxLoss, SupervisedContrastiveLoss


def maps(channels: int = 5) -> tuple[Tensor, Tensor]:
    """Features of 3 pictures, 2x3 places of 4x4 pixels, and kinds of all pixels."""
    kinds = torch.tensor([[[1, 2, 0], [1, -1, 0]], [[2, 2, 3], [0, 0, 3]], [[1, 0, 3], [-1, 0, 2]]])
    return torch.randn(3, channels, 2, 3, dtype=torch.float64, requires_grad=True), kinds


def of_pixels(kinds: Tensor) -> Tensor:
    """Each place's kind on its inner pixels; nonsense around them, which is not to be looked at."""
    pixels = torch.full((*kinds.shape, 4, 4), 9)
    pixels[..., 1:3, 1:3] = kinds[..., None, None]
    return pixels.permute(0, 1, 3, 2, 4).reshape(len(kinds), 4 * kinds.shape[1], 4 * kinds.shape[2])


def test_all_places_but_undecided_ones_are_compared_by_the_kind_at_their_centre() -> None:
    features, kinds = maps()
    contrastive = SupervisedContrastiveLoss()
    found, value = PlaceLoss(contrastive, weight=0.5)(features, of_pixels(kinds))
    known = [(n, i, j) for n in range(3) for i in range(2) for j in range(3) if kinds[n, i, j] >= 0]
    rows = torch.stack([features[n, :, i, j] for n, i, j in known])
    expected = 0.5 * contrastive(rows, torch.stack([kinds[place] for place in known]))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(value, expected.detach())
    for one, other in zip(torch.autograd.grad(found, features), torch.autograd.grad(expected, features), strict=True):
        torch.testing.assert_close(one, other)


def test_class_weights_are_sized_by_the_encoder_and_trained() -> None:
    places = PlaceLoss(SoftmaxLoss(num_classes=4))
    module = CosegmentationModule(CosegmentationNet(SmallEncoder(2)), places=places)
    features, kinds = maps(module.network.encoder.channels)
    found, _ = places(features.float(), of_pixels(kinds))
    scores = (features.permute(0, 2, 3, 1).float() @ places.loss.weight.T + places.loss.bias)[kinds >= 0]
    assert found.item() == pytest.approx(cross_entropy(scores, kinds[kinds >= 0]).item(), rel=1e-5)
    (group,) = module.configure_optimizers().param_groups
    assert any(parameter is places.loss.weight for parameter in group["params"])


def test_so_many_places_are_drawn_of_objects_and_of_the_background() -> None:
    """Which ones, is seen by where gradients arrive."""
    _, kinds = maps()
    seen = set()
    for _ in range(20):
        features, _ = maps()
        PlaceLoss(SupervisedContrastiveLoss(), objects=4, background=2)(features, of_pixels(kinds))[0].backward()
        assert features.grad is not None
        reached = features.grad.abs().sum(1) > 0
        assert (reached & (kinds > 0)).sum() <= 4 and (reached & (kinds == 0)).sum() <= 2
        assert not reached[kinds < 0].any()
        seen |= set(reached.flatten().nonzero()[:, 0].tolist())
    assert len(seen) == (kinds >= 0).sum()


def test_without_objects_there_is_nothing_to_learn() -> None:
    features, kinds = maps()
    found, _ = PlaceLoss(SupervisedContrastiveLoss(), background=1)(features, of_pixels(torch.zeros_like(kinds)))
    found.backward()
    assert found.item() == 0 and features.grad is not None and not features.grad.any()


def test_wrong_arguments_are_said() -> None:
    contrastive = SupervisedContrastiveLoss()
    with pytest.raises(ValueError, match="give num_classes to the loss"):
        CosegmentationModule(CosegmentationNet(SmallEncoder(4)), places=PlaceLoss(SoftmaxLoss()))
    with pytest.raises(ValueError, match="weight must be positive"):
        PlaceLoss(contrastive, weight=0)
    with pytest.raises(ValueError, match="objects must be at least 2"):
        PlaceLoss(contrastive, objects=1)


@pytest.mark.parametrize("correlation", [MutualCorrelation(normalize=True, strongest=True), None])
def test_the_module_adds_the_loss_of_places_to_that_of_masks(correlation: MutualCorrelation | None) -> None:
    """With the layer and without: the ablation is taught the same."""
    net = CosegmentationNet(SmallEncoder(4), correlation, decoder_channels=8)
    places = PlaceLoss(SupervisedContrastiveLoss(), weight=0.3)
    module = CosegmentationModule(net, places=places, input_shape=(2, 3, 16, 16))
    module._logs_this_step = lambda: False  # type: ignore[method-assign]
    kinds = torch.randint(0, 4, (3, 2, 16, 16))
    images = torch.randn(3, 2, 3, 16, 16)
    found = module.training_step(Batch(MaskedPairs(images, kinds == 1, kinds), torch.zeros(3), torch.arange(3)), 0)
    of_masks = module.loss(net(images), (kinds == 1).flatten(1))
    rows = net.features(images).permute(0, 1, 3, 4, 2).flatten(0, 3)
    of_places = SupervisedContrastiveLoss()(rows, kinds[:, :, 2::4, 2::4].flatten())
    torch.testing.assert_close(found, of_masks + 0.3 * of_places)
