"""Losses of the whole batch in blocks of rows: what they are without blocks, in less memory."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from metric_lightning.distances import WeightedL1Distance
from metric_lightning.losses import (
    AngularLoss,
    ContrastiveLoss,
    DynamicSoftMarginLoss,
    HistogramLoss,
    IntraPairVarianceLoss,
    LiftedStructureLoss,
    NPairsLoss,
    PairwiseLoss,
)
from metric_lightning.miners import (
    Angular,
    HardNegativePairs,
    RandomHardNegative,
    RandomNegativePairs,
    TripletMargin,
    UniformHistogram,
)
from metric_lightning.modules.statistics import batch_statistics
from metric_lightning.types import References
from tests.losses.largest import Largest


def learned() -> WeightedL1Distance:
    return WeightedL1Distance(embedding_dim=3, first_bias=-0.5)


MADE: dict[str, Callable[[int | None], PairwiseLoss]] = {
    "lifted": lambda rows: LiftedStructureLoss(distance=learned(), block_size=rows),
    "lifted-miner": lambda rows: LiftedStructureLoss(miner=RandomNegativePairs(), block_size=rows),
    "histogram": lambda rows: HistogramLoss(bins=20, distance=learned(), block_size=rows),
    "intra-pair": lambda rows: IntraPairVarianceLoss(distance=learned(), block_size=rows),
    "dynamic": lambda rows: DynamicSoftMarginLoss(bins=16, distance=learned(), block_size=rows),
    "dynamic-miner": lambda rows: DynamicSoftMarginLoss(bins=16, miner=RandomHardNegative(), block_size=rows),
    "dynamic-band": lambda rows: DynamicSoftMarginLoss(bins=16, miner=TripletMargin("all", 0.5), block_size=rows),
    "n-pairs": lambda rows: NPairsLoss(one_pair_per_class=True, block_size=rows),
}
each_loss = pytest.mark.parametrize("name", MADE)


def batch(dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return 11 anchors among 17 references, each with labels."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randn(17, 3, generator=generator, dtype=torch.float64).to(dtype)
    labels = torch.arange(17) % 5
    return y[3:14].clone().requires_grad_(), labels[3:14], y.requires_grad_(), labels


def two_steps(loss: PairwiseLoss, dtype: torch.dtype, own: bool) -> list[Tensor]:
    """Return values and gradients of two steps of training, with what the loss then remembers."""
    x, labels, y, y_labels = batch(dtype)
    references = References(y, y_labels, torch.arange(3, 14) if own else None)
    found = []
    for columns in (references, None):
        value = loss(x, labels, columns)
        found += [value, *torch.autograd.grad(value, [x, y, *loss.parameters()], materialize_grads=True)]
    return [*found, *loss.state_dict().values()]


@each_loss
@pytest.mark.parametrize("block_size", [1, 4])
@pytest.mark.parametrize("own", [True, False])
def test_value_and_gradients_are_those_of_the_whole(name: str, block_size: int, own: bool):
    expected = two_steps(MADE[name](None).double(), torch.float64, own)
    found = two_steps(MADE[name](block_size).double(), torch.float64, own)
    assert expected[0] != 0 and any(item.any() for item in expected[1:3])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


@each_loss
def test_half_precision_is_summed_in_single(name: str):
    loss = MADE[name](4)
    expected = two_steps(copy.deepcopy(MADE[name](None)), torch.bfloat16, own=True)
    found = two_steps(loss, torch.bfloat16, own=True)
    assert found[0].dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=1e-3)
    torch.testing.assert_close(found[0], expected[0])


def test_under_autocast_blocks_are_as_exact_as_the_whole():
    x, labels, _, _ = batch(torch.float32)
    values = []
    for block_size in (None, 4):
        with torch.autocast("cpu", torch.bfloat16):
            value = LiftedStructureLoss(block_size=block_size)(x, labels)
        values.append([value, *torch.autograd.grad(value, x)])
    torch.testing.assert_close(*values)


def test_distant_embeddings_do_not_overflow():
    """exp(-d) of all rows of a column is 0 in single precision, and of others far above the rest."""
    x, labels, _, _ = batch(torch.float32)
    far = (500 * x).detach().requires_grad_()
    values = []
    for block_size in (None, 4):
        value = LiftedStructureLoss(block_size=block_size)(far, labels)
        values.append([value, *torch.autograd.grad(value, far)])
        assert all(item.isfinite().all() for item in values[-1])
    torch.testing.assert_close(*values, rtol=1e-3, atol=1e-2)


def test_a_later_batch_leaves_the_gradient_of_an_earlier_one():
    """The backward pass computes blocks anew: not with the histogram of the later batch."""
    gradients = []
    for block_size in (None, 4):
        loss = DynamicSoftMarginLoss(bins=16, momentum=0.9, block_size=block_size).double()
        x, labels, y, y_labels = batch(torch.float64)
        value = loss(x, labels)
        loss(y, y_labels)
        gradients.append(torch.autograd.grad(value, x))
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["lifted", "histogram", "intra-pair", "dynamic"])
def test_no_more_than_a_block_is_held(name: str):
    """200 rows by 8: a block has 1,600 distances, the batch 40,000. For the backward pass none is kept."""
    kept = 0

    def keep(saved: Tensor) -> Tensor:
        nonlocal kept
        kept += saved.numel()
        return saved

    loss = MADE[name](8)
    loss.distance = type(AngularLoss().distance)()
    x, labels = torch.randn(200, 4, requires_grad=True), torch.arange(200) // 8
    with saved_tensors_hooks(keep, lambda saved: saved), Largest() as largest:
        loss(x, labels).backward()
    assert 8 * 200 <= largest.elements <= 2 * 8 * 200
    assert kept < 12 * 200


@pytest.mark.parametrize("miner", [HardNegativePairs, UniformHistogram])
def test_blocks_are_refused_where_the_miner_needs_all_rows(miner: Callable[[], HardNegativePairs]):
    for loss in (ContrastiveLoss, AngularLoss, LiftedStructureLoss):
        assert loss(miner=miner()).block_size is None
        with pytest.raises(ValueError, match=f"block_size is 4, but {miner.__name__} chooses over the whole batch"):
            loss(miner=miner(), block_size=4)
    with pytest.raises(ValueError, match="leave block_size out, or take another miner"):
        DynamicSoftMarginLoss(miner=Angular(), block_size=4)


@pytest.mark.parametrize("loss", [LiftedStructureLoss, HistogramLoss, IntraPairVarianceLoss, DynamicSoftMarginLoss])
def test_a_share_of_its_pairs_is_active(loss: Callable[..., PairwiseLoss]):
    x, labels, _, _ = batch(torch.float32)
    assert 0 < batch_statistics(loss(block_size=4), x, labels)["active_pairs"] <= 1


def test_a_block_has_rows():
    with pytest.raises(ValueError, match="HistogramLoss: block_size must be at least 1 or None, got 0"):
        HistogramLoss(block_size=0)
