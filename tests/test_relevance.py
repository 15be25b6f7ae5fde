import pytest
import torch

from metric_lightning.losses import ContrastiveLoss
from metric_lightning.parts import describe
from metric_lightning.relevance import HierarchicalLabels, LabelsByClass, MultiLabel, RelevanceMatrix, SameLabel
from tests.contract.oracles import same_label_pairs
from tests.contract.parts_from_plain import rebuild

MULTI_HOT = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
OWN = torch.arange(4)


def places(mask: torch.Tensor) -> list[tuple[int, int]]:
    return [(i, j) for i, j in mask.nonzero().tolist() if i < j]


def test_same_label():
    labels = torch.tensor([0, 1, 0, 1])
    found, expected = SameLabel()(labels, labels, OWN), same_label_pairs(labels, labels, OWN)
    assert torch.equal(found.positive, expected.positive)
    assert torch.equal(found.negative, expected.negative)


def test_multi_label_sharing_fewer_than_asked_is_ignored():
    one, two = MultiLabel()(MULTI_HOT, MULTI_HOT, OWN), MultiLabel(share=2)(MULTI_HOT, MULTI_HOT, OWN)
    assert places(one.positive) == [(0, 1), (1, 2)]
    assert places(two.positive) == [(0, 1)]
    assert places(one.negative) == places(two.negative) == [(0, 2), (0, 3), (1, 3), (2, 3)]


def test_hierarchy():
    labels = torch.tensor([[0, 0], [0, 1], [1, 1], [0, 0]])
    assert places(HierarchicalLabels(level=1)(labels, labels, OWN).positive) == [(0, 1), (0, 3), (1, 3)]
    finest = HierarchicalLabels()(labels, labels, OWN)
    assert places(finest.positive) == [(0, 3)]
    assert places(finest.negative) == [(0, 1), (0, 2), (1, 2), (1, 3), (2, 3)]


def test_matrix():
    relevance = RelevanceMatrix([[1, -1, 0], [-1, 1, 0], [0, 0, 1]])
    labels = torch.tensor([0, 1, 2, 2])
    found = relevance(labels, labels, OWN)
    assert places(found.positive) == [(2, 3)]
    assert places(found.negative) == [(0, 2), (0, 3), (1, 2), (1, 3)]
    assert "matrix" not in relevance.state_dict()  # it is in the description


@pytest.mark.parametrize("relevance", [MultiLabel(share=2), HierarchicalLabels(level=2)])
def test_labels_by_class_are_those_of_the_samples(relevance):
    classes, others = torch.tensor([2, 0, 3, 1]), torch.tensor([3, 3, 0])
    found = LabelsByClass(MULTI_HOT.tolist(), relevance)(classes, others, None)
    expected = relevance(MULTI_HOT[classes], MULTI_HOT[others], None)
    assert torch.equal(found.positive, expected.positive) and torch.equal(found.negative, expected.negative)


@pytest.mark.parametrize(
    ("relevance", "labels"),
    [
        (SameLabel(), torch.tensor([0, 1, 0, 1])),
        (MultiLabel(), MULTI_HOT),
        (HierarchicalLabels(level=1), torch.tensor([[0, 0], [0, 1], [1, 1], [0, 0]])),
        (RelevanceMatrix([[1, 0], [0, 1]]), torch.tensor([0, 1, 0, 1])),
        (LabelsByClass(MULTI_HOT.tolist(), MultiLabel()), torch.tensor([0, 1, 0, 3])),
    ],
    ids=lambda item: type(item).__name__,
)
def test_an_anchor_is_never_its_own_pair_and_parts_are_described(relevance, labels):
    found = relevance(labels, labels, OWN)
    assert not found.positive.diagonal().any()
    assert not found.negative.diagonal().any()
    assert not (found.positive & found.negative).any()
    gallery = relevance(labels, labels, None)
    assert gallery.positive.diagonal().all()
    again = rebuild(describe(relevance))(labels, labels, OWN)
    assert torch.equal(again.positive, found.positive)
    x = torch.randn(4, 3).requires_grad_()
    ContrastiveLoss(relevance=relevance, block_size=2)(x, labels).backward()
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiLabel(share=0), "share must be at least 1, got 0"),
        (lambda: HierarchicalLabels(level=0), "level must be at least 1, got 0"),
        (lambda: HierarchicalLabels(level=3)(OWN.view(2, 2), OWN.view(2, 2), None), "level is 3"),
        (lambda: RelevanceMatrix([[1, 0]]), "square"),
        (lambda: RelevanceMatrix([[2]]), "entries 1, 0 or -1"),
        (lambda: RelevanceMatrix([[1]])(OWN, OWN, None), "RelevanceMatrix: labels must be 0 to 0, got 3"),
        (lambda: LabelsByClass([], MultiLabel()), "a row for each class"),
        (lambda: LabelsByClass([[0], [0, 1]], MultiLabel()), "all of the same length"),
        (
            lambda: LabelsByClass([[0]], MultiLabel())(OWN[:1], -OWN, None),
            "LabelsByClass: labels must be 0 to 0, got -3",
        ),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
