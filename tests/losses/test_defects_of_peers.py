"""What other libraries' losses and miners were seen to do wrong, each shown not to happen here, smallest case each."""

import pytest
import torch
from torch import Tensor

from metric_lightning import losses, miners
from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional import distances as functional
from metric_lightning.losses import MetricLoss
from metric_lightning.types import Pairs
from tests.distributed.matrix import STEPS, run, run_all, settings
from tests.distributed.ranks import on_ranks
from tests.losses.largest import Largest

LABELS = torch.tensor([0, 0, 1, 1])


def value_and_gradient(loss: MetricLoss, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    x = rows.clone().requires_grad_()
    value = loss(x, labels)
    (gradient,) = torch.autograd.grad(value, x)
    return value, gradient


# pytorch-metric-learning


def test_two_ranks_do_not_double_the_gradients_of_proxies_nor_abort_on_uneven_batches():
    wanted = ["proxy-anchor", "proxy-nca"]
    every = settings()
    assert all(len(set(rows)) > 1 for rows in STEPS[2])
    for rank in on_ranks(2, run_all, wanted, 2):
        for name in wanted:
            found, expected = rank[name, torch.float64], run(every[name], torch.float64, STEPS[2])
            for ours, theirs in zip(found.steps, expected.steps, strict=True):
                assert theirs.loss[0].any()
                torch.testing.assert_close(ours.loss, theirs.loss)


def test_the_memory_keeps_its_write_position_when_restored():
    loss, other = (losses.CrossBatchMemory(losses.ContrastiveLoss(), size=3) for _ in range(2))
    for row in (1.0, 2.0):
        loss(torch.tensor([[row]]), torch.tensor([0]))
    other.load_state_dict(loss.state_dict())
    other(torch.tensor([[3.0]]), torch.tensor([0]))
    other(torch.tensor([[4.0]]), torch.tensor([0]))
    assert other.embeddings[:, 0].tolist() == [4.0, 2.0, 3.0]


def test_labels_above_2_to_24_do_not_merge():
    labels = torch.tensor([2**24, 2**24 + 1])
    value, _ = value_and_gradient(losses.ContrastiveLoss(margin=1.0), torch.zeros(2, 2), labels)
    assert value == 0.5  # a negative pair at distance 0; as positives they would cost nothing


@pytest.mark.parametrize("name", ["TupletMarginLoss", "HistogramLoss", "ContrastiveLoss", "TripletMarginLoss"])
def test_duplicate_embeddings_give_neither_nan_nor_an_error(name: str):
    rows = torch.tensor([[3.0, 4.0], [3.0, 4.0], [3.0, 4.0], [0.0, 1.0]])
    value, gradient = value_and_gradient(getattr(losses, name)(), rows, LABELS)
    assert value.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("name", ["SubCenterArcFaceLoss", "ArcFaceLoss"])
def test_finite_at_a_center_of_the_own_class(name: str):
    """The peers' arc cosine has an infinite slope at 1."""
    loss = getattr(losses, name)(num_classes=2, embedding_dim=2)
    rows = loss.weight.detach().flatten(0, -2)
    value, gradient = value_and_gradient(loss, rows, torch.arange(len(rows)) % 2)
    assert value.isfinite() and gradient.isfinite().all()


@pytest.mark.parametrize("name", ["NTXentLoss", "TripletMarginLoss", "TripletSoftMarginLoss", "TupletMarginLoss"])
def test_triplets_are_never_listed(name: str):
    """256 samples, 8 a class: 444,416 triplets. Peers take memory for each, and seconds."""
    rows, labels = torch.randn(256, 8), torch.arange(256) // 8
    with Largest() as largest:
        value_and_gradient(getattr(losses, name)(), rows, labels)
    assert 256**2 <= largest.elements <= 2 * 256**2


# open-metric-learning


def test_log1p_of_exp_stays_finite_in_half_precision():
    rows = torch.tensor([[30.0], [-30.0], [30.0], [-30.0]], dtype=torch.float16)
    for loss in (losses.TripletSoftMarginLoss(), losses.MultiSimilarityLoss(), losses.CircleLoss()):
        value, gradient = value_and_gradient(loss, rows, LABELS)
        assert value.isfinite() and gradient.isfinite().all()
    value, _ = value_and_gradient(losses.TripletSoftMarginLoss(), rows, LABELS)
    torch.testing.assert_close(value, torch.tensor((60.0 + 60.0 + 2 * 0.6931472) / 4), rtol=1e-3, atol=0)


# Quaterion


@pytest.mark.parametrize("miner", [miners.SemiHardNegative(10.0), miners.TripletMargin("semi-hard", margin=10.0)])
def test_semi_hard_triplets_pair_related_rows(miner: miners.Miner):
    rows, labels = torch.randn(12, 2), torch.arange(12) % 4
    table = torch.cdist(rows, rows)
    same = labels[:, None] == labels
    found = miner(table, Pairs(same & ~torch.eye(12, dtype=torch.bool), ~same))
    if isinstance(found, tuple) and hasattr(found, "anchor"):
        anchor, positive, negative = found
        assert (labels[anchor] == labels[positive]).all() and (labels[anchor] != labels[negative]).all()
        assert (anchor != positive).all() and (table[anchor, negative] > table[anchor, positive]).all()
    else:
        assert torch.equal(found.pairs.negative, ~same) and not found.pairs.positive.diagonal().any()


def test_the_cosine_distance_is_the_same_everywhere():
    x, y = torch.randn(5, 3), torch.randn(4, 3)
    expected = 1 - torch.nn.functional.cosine_similarity(x[:, None], y[None], dim=-1)
    part: Distance = CosineDistance()
    torch.testing.assert_close(part(x, y), expected)
    torch.testing.assert_close(functional.cosine_distances(x, y), expected)
    torch.testing.assert_close(part.similarity(part(x, y)), 1 - expected)


# sentence-transformers, Quaterion


@pytest.mark.parametrize("miner", [miners.BatchHard(), miners.BatchEasyHard("hardest", "hardest")])
def test_an_anchor_without_a_positive_is_not_charged(miner: miners.Miner):
    rows = torch.tensor([[0.0], [1.0], [1.5], [9.0]])
    labels = torch.tensor([0, 0, 1, 2])  # the last two have no positive
    loss = losses.TripletMarginLoss(margin=1.0, miner=miner)
    table = torch.cdist(rows, rows)
    expected = torch.stack([table[0, 1] - table[0, 2] + 1.0, table[1, 0] - table[1, 2] + 1.0]).clamp_min(0).mean()
    value, gradient = value_and_gradient(loss, rows, labels)
    torch.testing.assert_close(value, expected)
    assert gradient[3] == 0


# The reference implementation, torchmetrics


def test_a_duplicate_across_classes_has_a_finite_gradient():
    rows = torch.tensor([[1.0, 2.0], [0.0, 1.0], [1.0, 2.0], [5.0, 5.0]])
    for miner in (None, miners.HardNegativePairs()):
        value, gradient = value_and_gradient(losses.ContrastiveLoss(miner=miner), rows, LABELS)
        assert value > 0 and gradient.isfinite().all()


def test_no_positives_raise_nothing():
    for miner in (miners.HardestNegative(), miners.RandomHardNegative(), miners.SemiHardNegative()):
        value, gradient = value_and_gradient(losses.TripletMarginLoss(miner=miner), torch.randn(4, 2), torch.arange(4))
        assert value == 0 and not gradient.any()


def test_rounding_below_zero_gives_no_nan_under_the_square_root():
    rows = torch.full((3, 64), 0.1) + 1e3
    x = rows.requires_grad_()
    found = functional.euclidean_distances(x, x)
    found.sum().backward()
    assert x.grad is not None
    assert not found.any() and not x.grad.any()
