import math

import pytest
import torch

from metric_lightning import losses, miners
from metric_lightning.callbacks.loss_distances import collapsed_cost


class OfFixedBatches(losses.TripletMarginLoss):
    def anchor_terms(self, distances, pairs):
        return super().anchor_terms(distances.reshape(100, 100), pairs)


@pytest.mark.parametrize(
    ("loss", "cost"),
    [
        (losses.TripletMarginLoss(margin=0.7), 0.7),
        (losses.TripletMarginLoss(margin=0.7, miner=miners.RandomHardNegative()), 0.7),
        (losses.TripletSoftMarginLoss(miner=miners.BatchHard()), math.log(2)),
        (losses.ContrastiveLoss(margin=2.0, average="sides"), 2.0),
        (losses.ContrastiveLoss(margin=2.0), None),  # by how many pairs of a batch are negative
        (losses.AngularLoss(), None),
        (losses.SoftmaxLoss(), None),
        (OfFixedBatches(), None),
    ],
)
def test_what_a_point_costs(loss, cost):
    state = torch.get_rng_state()
    assert collapsed_cost(loss) == (None if cost is None else pytest.approx(cost))
    assert torch.equal(torch.get_rng_state(), state), "a miner that draws changes no run"
    if cost is not None:
        assert float(loss(torch.zeros(6, 2), torch.arange(6) // 2)) == pytest.approx(cost, rel=0.01)
