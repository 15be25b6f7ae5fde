import torch

from metric_lightning.functional.pairs import (
    pairs_from_labels,
    pairs_from_relevance,
    positive_slots,
    row_counts,
    without_self,
)
from tests.contract.oracles import columns, same_label_pairs

MASK = torch.rand(7, 13, generator=torch.Generator().manual_seed(0)) < 0.4


def test_labels_above_the_precision_of_float32_stay_apart():
    labels = torch.tensor([2**24, 2**24 + 1])
    assert not pairs_from_labels(labels, labels).positive[0, 1]


def test_labels():
    labels, others, own = torch.tensor([0, 1, 2]), torch.tensor([1, 0, 0, 2, 5]), torch.tensor([2, 0, 3])
    for where in (own, None):
        found, expected = pairs_from_labels(labels, others, where), same_label_pairs(labels, others, where)
        assert torch.equal(found.positive, expected.positive)
        assert torch.equal(found.negative, expected.negative)


def test_relevance():
    own = torch.arange(7)
    found = pairs_from_relevance(MASK, own)
    assert torch.equal(found.positive, without_self(MASK, own))
    assert not found.negative[own, own].any()
    assert torch.equal(found.positive | found.negative, without_self(torch.ones_like(MASK), own))


def test_masks_given_are_left_as_they_were():
    mask = torch.ones(3, 3, dtype=torch.bool)
    without_self(mask, torch.arange(3))
    assert mask.all()


def test_counts():
    assert row_counts(MASK).tolist() == [len(columns(MASK, row)) for row in range(7)]
    assert row_counts(MASK.T, torch.float32).tolist() == MASK.sum(dim=0).tolist()
    assert row_counts(torch.ones(2, 300, dtype=torch.bool)).tolist() == [300, 300]
    assert row_counts(torch.ones(1, 1, dtype=torch.bool).expand(4, 5)).tolist() == [5] * 4


def test_slots():
    found, filled = positive_slots(MASK)
    for row in range(7):
        assert found[row][filled[row]].tolist() == columns(MASK, row)
