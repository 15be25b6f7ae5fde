"""Two views of samples on several ranks: the gradients of one process, random miners included."""

import pytest
import torch
from torch import Tensor

from metric_lightning.losses import InfoNCELoss, PairwiseLoss, SigmoidPairwiseLoss, TripletMarginLoss
from metric_lightning.miners import RandomHardNegative
from metric_lightning.modules.ranks import loss_between_views
from tests.distributed.ranks import on_ranks

LOSSES = {
    "info-nce": InfoNCELoss,
    "sigmoid": SigmoidPairwiseLoss,
    "triplet": lambda: TripletMarginLoss(margin=5.0),
    "random-miner": lambda: TripletMarginLoss(margin=5.0, miner=RandomHardNegative(seed=2)),
}
SIZES = {2: [7, 5], 3: [6, 0, 6]}


def samples() -> tuple[Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(4)
    first, second = (torch.randn(12, 3, generator=random, dtype=torch.float64) for _ in range(2))
    return first, second, torch.arange(12) // 3


def made(name: str) -> PairwiseLoss:
    loss: PairwiseLoss = LOSSES[name]()
    loss.build(4, 3)
    return loss.double()


def of_a_rank(name: str, sizes: list[int]) -> tuple[float, Tensor, Tensor]:
    """Return the loss and this rank's share of the gradients, as an average over ranks would leave it."""
    rank = torch.distributed.get_rank()
    start = sum(sizes[:rank])
    first, second, labels = (part[start : start + sizes[rank]] for part in samples())
    differentiated, value = loss_between_views(made(name), first.requires_grad_(), second.requires_grad_(), labels)
    differentiated.backward()
    return float(value), first.grad / len(sizes), second.grad / len(sizes)


@pytest.mark.parametrize("world_size", SIZES)
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_are_those_of_one_process(name, world_size):
    first, second, labels = samples()
    expected, value = loss_between_views(made(name), first.requires_grad_(), second.requires_grad_(), labels)
    expected.backward()
    found = on_ranks(world_size, of_a_rank, name, SIZES[world_size])
    assert [rank[0] for rank in found] == pytest.approx([float(value)] * world_size, rel=1e-12)
    for place, whole in ((1, first), (2, second)):
        gathered = torch.cat([rank[place] for rank in found])
        torch.testing.assert_close(gathered, whole.grad, rtol=1e-10, atol=1e-14)
