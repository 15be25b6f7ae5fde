from pathlib import Path

import pytest
import torch
from lightning.pytorch import Trainer
from torch.nn.functional import binary_cross_entropy

from metric_lightning.applications.cosegmentation import (
    CosegmentationModule,
    CosegmentationNet,
    MutualCorrelation,
    PlaceLoss,
    SmallEncoder,
    VGG16Encoder,
    VOCPairs,
    mask_figures,
)
from metric_lightning.applications.cosegmentation.module import TwoMaskCrossEntropy
from metric_lightning.applications.cosegmentation.pairs import MaskedPairs
from metric_lightning.applications.cosegmentation.rendering import pair_figure
from metric_lightning.data import PlainBatches
from metric_lightning.losses import SoftmaxLoss
from metric_lightning.plots.canvas import pixels
from tests.applications.cosegmentation.replica import write_voc


def network(correlation: bool = True) -> CosegmentationNet:
    layer = MutualCorrelation(normalize=True) if correlation else None
    return CosegmentationNet(SmallEncoder(8), layer, decoder_channels=16)


def test_the_loss_is_the_sum_of_two_pixelwise_cross_entropies() -> None:
    logits, masks = torch.randn(3, 2, 4, 4, dtype=torch.float64), torch.rand(3, 2, 4, 4) < 0.3
    expected = sum(binary_cross_entropy(logits[:, side].sigmoid(), masks[:, side].double()) for side in range(2))
    found = TwoMaskCrossEntropy()(logits.flatten(1), masks.flatten(1))
    assert found.item() == pytest.approx(float(expected), rel=1e-5)
    with pytest.raises(ValueError, match="masks must both be"):
        TwoMaskCrossEntropy()(torch.zeros(2, 8), torch.zeros(2, 4))


def test_figures_are_those_of_a_count() -> None:
    predicted, truth = torch.rand(5, 6, 6) < 0.5, torch.rand(5, 6, 6) < 0.5
    predicted[4], truth[4] = False, False
    found = mask_figures(predicted, truth)
    for one, other, jaccard, precision in zip(predicted, truth, *found, strict=True):
        pairs = list(zip(one.flatten().tolist(), other.flatten().tolist(), strict=True))
        either = sum(a or b for a, b in pairs)
        assert jaccard.item() == pytest.approx(sum(a and b for a, b in pairs) / either if either else 1.0)
        assert precision.item() == pytest.approx(sum(a == b for a, b in pairs) / 36)


@pytest.mark.parametrize("correlation", [True, False])
def test_swapping_the_pictures_swaps_the_masks(correlation: bool) -> None:
    """One encoder and one decoder for both."""
    net = network(correlation)
    net.build((2, 3, 32, 24))
    images = torch.randn(2, 2, 3, 32, 24)
    with torch.no_grad():
        for _ in range(40):  # until batch normalisation knows its inputs
            net(images)
    logits = net.eval()(images).unflatten(1, (2, 32, 24))
    torch.testing.assert_close(net(images.flip(1)).unflatten(1, (2, 32, 24)), logits.flip(1), atol=1e-5, rtol=1e-4)
    # What A shows decides B's mask too.
    other = images.clone()
    other[:, 0] = torch.randn(2, 3, 32, 24)
    assert not torch.allclose(net(other).unflatten(1, (2, 32, 24))[:, 1], logits[:, 1], atol=1e-4)


def test_the_ablation_lacks_the_layer_and_nothing_else() -> None:
    with_it, without = network(True), network(False)
    for net in (with_it, without):
        net.build((2, 3, 32, 32))
    shapes = [{name: value.shape for name, value in net.state_dict().items()} for net in (with_it, without)]
    different = [name for name in shapes[0] if shapes[0][name] != shapes[1][name]]
    # What takes in both the features and what is compared.
    decoder_inputs = {f"layers.0.{name}" for name in ("weight", "bias", "running_mean", "running_var")}
    decoder_inputs.add("layers.1.0.weight")
    assert shapes[0].keys() == shapes[1].keys() and set(different) == decoder_inputs


def test_vgg16_makes_maps_of_a_sixteenth() -> None:
    with torch.no_grad():
        assert VGG16Encoder().eval()(torch.zeros(1, 3, 64, 48)).shape == (1, 512, 4, 3)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 4"):
        network().build((2, 3, 34, 32))
    with pytest.raises(ValueError, match="takes pairs"):
        network().build((3, 32, 32))


def test_it_learns_what_two_pictures_share_and_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    write_voc(tmp_path, photographs=36)
    data = VOCPairs(
        str(tmp_path), pairs=48, evaluation_pairs=12, size=(32, 32), num_workers=0, batches=PlainBatches(batch_size=8)
    )
    places = PlaceLoss(SoftmaxLoss(num_classes=21), weight=0.1)
    module = CosegmentationModule(network(), lambda parameters: torch.optim.Adam(parameters, lr=1e-2), places=places)
    trainer = Trainer(
        max_epochs=5, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu", log_every_n_steps=1,
    )  # fmt: skip
    trainer.fit(module, datamodule=data)
    (figures,) = trainer.test(module, datamodule=data, verbose=False)
    # Nothing marked: 0. Everything marked: below 0.4.
    assert figures["test/jaccard"] > 0.6 and figures["test/precision"] > 0.8
    trainer.save_checkpoint(tmp_path / "net.ckpt")
    again = CosegmentationModule.load_from_checkpoint(tmp_path / "net.ckpt", map_location="cpu").eval()
    images = data.test_set.__getitems__([0, 1]).inputs.images
    assert torch.equal(again.masks(images), module.eval().masks(images))
    assert again.places is not None and torch.equal(again.places.loss.weight, places.loss.weight)


def test_the_picture_has_a_column_for_each_pair() -> None:
    masks = torch.rand(3, 2, 16, 16) < 0.5
    pairs = MaskedPairs(torch.randn(3, 2, 3, 16, 16), masks, masks.long())
    figure = pair_figure(pairs, {"some method": pairs.masks})
    assert len(figure.axes) == 3 * 6 and pixels(figure).std() > 10
    assert [axis.get_xlabel() for axis in figure.axes].count("Jaccard 1.00") == 6
    assert "in common" in figure.get_suptitle()
