"""The margin of a miner is its own or its loss's: where there must be one, none is an error and no loss of 0."""

import pytest
import torch

from metric_lightning import losses, miners
from metric_lightning.types import Pairs

SEMI_HARD = {
    "drawn": lambda margin=None: miners.SemiHardNegative(margin),
    "band": lambda margin=None: miners.TripletMargin("semi-hard", margin),
}


@pytest.mark.parametrize("loss", [losses.TripletSoftMarginLoss, losses.DynamicSoftMarginLoss])
@pytest.mark.parametrize("miner", SEMI_HARD.values(), ids=SEMI_HARD)
def test_semi_hard_needs_a_margin_of_the_loss_or_of_its_own(loss, miner):
    with pytest.raises(ValueError, match="picks nothing without a margin, .*; give the miner a margin$"):
        loss(miner=miner())
    with pytest.raises(ValueError, match="give the miner a margin$"):
        loss(miner=miner(0.0))
    torch.manual_seed(0)
    value = loss(miner=miner(5.0))(torch.randn(8, 2), torch.arange(8) % 2)
    assert value != 0


@pytest.mark.parametrize("miner", SEMI_HARD.values(), ids=SEMI_HARD)
def test_semi_hard_outside_of_a_loss_needs_a_margin_too(miner):
    pairs = Pairs(torch.tensor([[True, False]]), torch.tensor([[False, True]]))
    with pytest.raises(ValueError, match="give the miner a margin$"):
        miner()(torch.zeros(1, 2), pairs)


@pytest.mark.parametrize("margin", [None, 1.0])
@pytest.mark.parametrize("miner", SEMI_HARD.values(), ids=SEMI_HARD)
def test_semi_hard_in_a_hinge_without_a_margin_costs_nothing_and_is_refused(miner, margin):
    with pytest.raises(ValueError, match="costs nothing in a loss of margin 0; give the loss a margin$"):
        losses.TripletMarginLoss(0.0, miner=miner(margin))


def test_a_miner_that_does_without_keeps_doing_so():
    assert losses.TripletSoftMarginLoss(miner=miners.HardestNegative()).miner.margin_used == 0


def test_losses_of_different_margins_can_not_share_a_miner():
    shared = miners.HardestNegative()
    losses.TripletMarginLoss(0.2, miner=shared)
    losses.TripletMarginLoss(0.2, miner=shared)
    with pytest.raises(ValueError, match="HardestNegative has the margin 0.2 of another .* 1.0 too; make a miner"):
        losses.TripletMarginLoss(1.0, miner=shared)
    with pytest.raises(ValueError, match="and can't have 0.0 too"):
        losses.TripletSoftMarginLoss(miner=shared)
    assert shared.margin_used == 0.2


def test_a_miner_with_a_margin_of_its_own_can_be_shared():
    shared = miners.HardestNegative(0.5)
    for margin in (0.2, 1.0):
        losses.TripletMarginLoss(margin, miner=shared)
    assert shared.margin_used == 0.5
