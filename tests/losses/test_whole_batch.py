"""VICReg, dynamic soft margin and weighted sums over more than one call, and against pytorch-metric-learning."""

import copy

import pytest
import torch

from metric_lightning.losses import (
    ContrastiveLoss,
    DynamicSoftMarginLoss,
    ProxyAnchorLoss,
    SoftmaxLoss,
    TripletMarginLoss,
    VICRegLoss,
    WeightedSum,
)
from metric_lightning.losses.dynamic_soft_margin import soft_histogram
from metric_lightning.miners import TripletMargin
from metric_lightning.types import Pairs, References


def test_vicreg_of_two_views_is_the_papers():
    theirs = pytest.importorskip("pytorch_metric_learning.losses").VICRegLoss(variance_mu=50)  # they halve it
    x = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    y = torch.randn(12, 5, dtype=torch.float64, requires_grad=True)
    expected = theirs(x, ref_emb=y)
    expected = [expected, *torch.autograd.grad(expected, [x, y])]
    for labels in (torch.arange(12), torch.randperm(12) + 2**24):
        value = VICRegLoss()(x, labels, References(y, labels))
        torch.testing.assert_close([value, *torch.autograd.grad(value, [x, y])], expected)
    same = torch.eye(12, dtype=torch.bool)
    value = VICRegLoss()(x, torch.zeros(12), References(y, torch.zeros(12)), Pairs(same, ~same))
    torch.testing.assert_close([value, *torch.autograd.grad(value, [x, y])], expected)


def test_vicreg_finds_the_pairs_of_labels():
    x, y = torch.randn(9, 4, dtype=torch.float64), torch.randn(7, 4, dtype=torch.float64)
    labels, others = torch.arange(9) % 4, torch.arange(7) % 3
    same = labels[:, None] == others
    given = VICRegLoss()(x, labels, References(y, others), Pairs(same, ~same))
    torch.testing.assert_close(VICRegLoss()(x, labels, References(y, others)), given)


def test_the_histogram_follows_the_batches():
    loss = DynamicSoftMarginLoss(bins=16, momentum=0.1).double()
    expected = None
    for step in range(4):
        x, labels = torch.randn(12, 4, dtype=torch.float64), torch.arange(12) % 3
        rows = x / x.norm(dim=1, keepdim=True)
        distances = torch.cdist(rows, rows)
        closest = distances.masked_fill(labels[:, None] == labels, torch.inf).amin(dim=1)
        positive = (labels[:, None] == labels) & ~torch.eye(12, dtype=torch.bool)
        values = (distances - closest[:, None])[positive]
        newest = soft_histogram(values, 16, 2.0)
        expected = newest if expected is None else 0.9 * expected + 0.1 * newest
        weights = expected.cumsum(0)[((values + 2) / (4 / 15)).long()]
        torch.testing.assert_close(loss(x, labels), (weights * values).mean(), msg=f"step {step}")
        torch.testing.assert_close(loss.histogram, expected)
    torch.testing.assert_close(loss.histogram.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_the_histogram_stays_in_evaluation_and_is_restored():
    loss = DynamicSoftMarginLoss(bins=16, momentum=0.5)
    batch = (torch.randn(12, 4), torch.arange(12) % 3)
    loss(*batch)
    before = loss.histogram.clone()
    loss.eval()
    loss(torch.randn(12, 4), torch.arange(12) % 3)
    assert torch.equal(loss.histogram, before)
    loss.train()
    other = DynamicSoftMarginLoss(bins=16, momentum=0.5)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(*batch), loss(*batch)) and torch.equal(other.histogram, loss.histogram)


@pytest.mark.parametrize("kind", ["all", "hard", "semi-hard"])
def test_triplets_of_a_band_count_though_they_are_not_listed(kind: str):
    loss = DynamicSoftMarginLoss(bins=16, miner=TripletMargin(margin=0.3, kind=kind)).double()
    x, labels = torch.randn(9, 3, dtype=torch.float64), torch.tensor([0, 0, 0, 1, 1, 1, 1, 2, 2])
    rows = x / x.norm(dim=1, keepdim=True)
    d = torch.cdist(rows, rows).tolist()
    inside = {"all": lambda gap: gap <= 0.3, "hard": lambda gap: gap <= 0, "semi-hard": lambda gap: 0 < gap <= 0.3}[
        kind
    ]
    values = torch.tensor(
        [
            d[a][p] - d[a][n]
            for a in range(9)
            for p in range(9)
            for n in range(9)
            if a != p and labels[a] == labels[p] and labels[a] != labels[n] and inside(d[a][n] - d[a][p])
        ],
        dtype=torch.float64,
    )
    weights = soft_histogram(values, 16, 2.0).cumsum(0)[((values + 2) / (4 / 15)).long()]
    torch.testing.assert_close(loss(x, labels), (weights * values).mean())
    torch.testing.assert_close(loss.histogram, soft_histogram(values, 16, 2.0))
    empty = loss.histogram.clone()
    assert loss(x[:1], labels[:1]) == 0 and torch.equal(loss.histogram, empty)


def test_a_value_at_either_end_of_the_histogram():
    histogram = soft_histogram(torch.tensor([-2.0, 2.0, 5.0]), bins=4, reach=2.0)
    torch.testing.assert_close(histogram, torch.tensor([1 / 3, 0, 0, 2 / 3]))


def test_a_weighted_sum_is_row_wise_where_all_its_losses_are():
    assert WeightedSum([ContrastiveLoss(), TripletMarginLoss()]).row_wise
    assert not WeightedSum([ContrastiveLoss(), ProxyAnchorLoss()]).row_wise
    assert WeightedSum([ContrastiveLoss(), SoftmaxLoss()]).learns_classes
    assert not WeightedSum([ContrastiveLoss()]).learns_classes


def test_a_weighted_sum_keeps_parts_of_one_name_apart():
    loss = WeightedSum([ContrastiveLoss(margin=1.0), ContrastiveLoss(margin=3.0)], [2.0, 1.0])
    x, labels = torch.randn(6, 3), torch.arange(6) % 2
    assert set(loss.terms(x, labels)) == {"0.pairs", "1.pairs"}
    torch.testing.assert_close(
        loss(x, labels), 2 * ContrastiveLoss(margin=1.0)(x, labels) + ContrastiveLoss(margin=3.0)(x, labels)
    )


def test_a_weighted_sum_may_be_nested_and_copied():
    inner = WeightedSum([ContrastiveLoss(), SoftmaxLoss()])
    loss = WeightedSum([inner, TripletMarginLoss()], [0.5, 1.0])
    loss.build(3, 4)
    x, labels = torch.randn(6, 4), torch.arange(6) % 3
    assert torch.equal(copy.deepcopy(loss)(x, labels), loss(x, labels))
    torch.testing.assert_close(loss(x, labels), 0.5 * inner(x, labels) + TripletMarginLoss()(x, labels))


def test_wrong_weights_are_named():
    with pytest.raises(ValueError, match="got 1 for 2"):
        WeightedSum([ContrastiveLoss(), ContrastiveLoss()], [1.0])
    with pytest.raises(ValueError, match="weights must be a finite number at least 0, got -1"):
        WeightedSum([ContrastiveLoss()], [-1.0])
    with pytest.raises(ValueError, match="at least one loss"):
        WeightedSum([])
