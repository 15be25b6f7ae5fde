"""What is no batch is refused in one sentence; what a batch may be made of makes no difference to its loss."""

from typing import Any

import pytest
import torch
from torch import Tensor

from metric_lightning.losses import (
    ArcFaceLoss,
    BatchInstanceLoss,
    ContrastiveLoss,
    HistogramLoss,
    InfoNCELoss,
    MarginLoss,
    MetricLoss,
    NPairsLoss,
    PartialFCLoss,
    SoftmaxLoss,
    VICRegLoss,
)
from metric_lightning.relevance import HierarchicalLabels, LabelsByClass, MultiLabel, RelevanceMatrix
from metric_lightning.types import Pairs, References

X = torch.randn(5, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([3, 1, 2, 3, 1])
OWN = torch.arange(5)
EQUAL = LABELS[:, None] == LABELS


def boundaries_that_differ() -> MarginLoss:
    loss = MarginLoss(boundary_per_class=True, num_classes=5)
    assert loss.boundary is not None
    loss.boundary.data = torch.linspace(0.5, 1.5, 5)
    return loss


COMPARING: list[MetricLoss] = [
    ContrastiveLoss(),
    InfoNCELoss(),
    HistogramLoss(),
    VICRegLoss(),
    BatchInstanceLoss(),
    NPairsLoss(one_pair_per_class=True),
]
LEARNING: list[MetricLoss] = [ArcFaceLoss(5, 4), SoftmaxLoss(5, 4), PartialFCLoss(5, 4)]
INDEXING: list[MetricLoss] = [
    *LEARNING,
    boundaries_that_differ(),
    ContrastiveLoss(relevance=RelevanceMatrix(torch.eye(5, dtype=torch.int64).tolist())),
    ContrastiveLoss(relevance=LabelsByClass(torch.eye(5, dtype=torch.int64).tolist(), MultiLabel())),
]
each_comparing = pytest.mark.parametrize("loss", COMPARING, ids=lambda loss: type(loss).__name__)
each_learning = pytest.mark.parametrize("loss", LEARNING, ids=lambda loss: type(loss).__name__)
each_indexing = pytest.mark.parametrize("loss", INDEXING, ids=lambda loss: type(loss).__name__)


@each_indexing
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.uint16], ids=str)
def test_class_numbers_are_the_same_in_any_integer_type(loss: MetricLoss, dtype: torch.dtype):
    torch.testing.assert_close(loss(X, LABELS.to(dtype)), loss(X, LABELS), rtol=0, atol=0)


@each_indexing
def test_truth_values_number_two_classes(loss: MetricLoss):
    torch.testing.assert_close(loss(X, LABELS > 1), loss(X, (LABELS > 1).long()), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("loss", "labels", "message"),
    [
        (InfoNCELoss(), LABELS.float(), r"SameLabel: labels must be integers of shape \(batch,\), got torch.float32"),
        (InfoNCELoss(), LABELS[:, None], r"SameLabel: .* got torch.int64 of shape \(5, 1\)$"),
        (InfoNCELoss(), LABELS.tolist(), "labels of the embeddings must be a tensor, got list"),
        (InfoNCELoss(), None, "labels of the embeddings must be a tensor, got NoneType"),
        (InfoNCELoss(), torch.tensor(3), "got no row of labels for 5 embeddings; one for each is needed"),
        (InfoNCELoss(), LABELS[:4], "got 4 labels for 5 embeddings; one for each is needed"),
        (NPairsLoss(one_pair_per_class=True), LABELS[:4], "got 4 labels for 5 embeddings"),
        (NPairsLoss(one_pair_per_class=True), LABELS[:, None], r"NPairsLoss: labels must be integers of shape"),
        (ArcFaceLoss(5, 4), LABELS.float(), r"ArcFaceLoss: labels must be integers of shape"),
        (ArcFaceLoss(5, 4), LABELS.tolist(), "labels of the embeddings must be a tensor, got list"),
        (ContrastiveLoss(relevance=MultiLabel()), LABELS, r"MultiLabel: labels must be numbers of shape \(batch, col"),
        (ContrastiveLoss(relevance=HierarchicalLabels()), LABELS, "HierarchicalLabels: labels must be integers of"),
        (ContrastiveLoss(relevance=HierarchicalLabels()), X, "HierarchicalLabels: labels must be integers of"),
        (MarginLoss(boundary_per_class=True, num_classes=3), LABELS, "MarginLoss: labels must be 0 to 2, got 3"),
    ],
)
def test_labels_that_are_none(loss: MetricLoss, labels: Any, message: str):
    with pytest.raises(ValueError, match=message):
        loss(X, labels)


def test_several_labels_have_the_same_columns_everywhere():
    with pytest.raises(ValueError, match="MultiLabel: labels must have the same columns everywhere, got 4 and 3"):
        ContrastiveLoss(relevance=MultiLabel())(X, X > 0, References(X, X[:, :3] > 0))


@each_comparing
@pytest.mark.parametrize(
    ("references", "message"),
    [
        (X, "references must be References.embeddings, labels, own., got Tensor"),
        ((X, LABELS), "references must be References.embeddings, labels, own., got tuple"),
        (References(X, LABELS, OWN[:3]), r"own of the references must be torch.int64 of shape \(5,\), .* \(3,\)$"),
        (References(X, LABELS, OWN.float()), r"own of the references must be torch.int64 .* got torch.float32"),
        (References(X, LABELS, OWN.tolist()), "own of the references must be torch.int64 .* got list"),
        (References(X, LABELS, OWN + 1), "own of the references must be 0 to 4, got 5"),
        (References(X, LABELS, OWN - 1), "own of the references must be 0 to 4, got -1"),
        (References(X, LABELS, OWN, OWN[:3]), r"numbers of the references must be torch.int64 of shape \(5,\)"),
        (References(X, None), "labels of the references must be a tensor, got NoneType"),
        (References(X[None], LABELS), r"references must be .* got torch.float32 of shape \(1, 5, 4\)"),
        (References(X.int(), LABELS), "references must be .* floating point numbers, got torch.int32"),
        (References(X[:, :3], LABELS), "embeddings have 4 dimensions, the references 3"),
        (References(X, LABELS[:4]), "got 4 labels for 5 references; one for each is needed"),
    ],
)
def test_references_that_are_none(loss: MetricLoss, references: Any, message: str):
    with pytest.raises(ValueError, match=message):
        loss(X, LABELS, references)


@each_comparing
@pytest.mark.parametrize(
    ("pairs", "found"),
    [
        (Pairs(EQUAL.int(), EQUAL.int()), "torch.int32 of shape"),
        (Pairs(EQUAL, EQUAL.float()), "torch.float32 of shape"),
        (Pairs(EQUAL[:, :3], EQUAL[:, :3]), r"torch.bool of shape \(5, 3\)"),
        (Pairs(EQUAL[:3], ~EQUAL[:3]), r"torch.bool of shape \(3, 5\)"),
        ((EQUAL, ~EQUAL), "tuple"),
        (EQUAL, "Tensor"),
        (Pairs(EQUAL, EQUAL.tolist()), "list"),
    ],
)
def test_pairs_that_are_none(loss: MetricLoss, pairs: Any, found: str):
    with pytest.raises(ValueError, match=rf"pairs must be Pairs.*, both torch.bool of shape \(5, 5\), got {found}"):
        loss(X, LABELS, None, pairs)


@pytest.mark.parametrize("loss", [*COMPARING, *LEARNING], ids=lambda loss: type(loss).__name__)
@pytest.mark.parametrize("rows", [X.int(), X.to(torch.complex64)], ids=["int", "complex"])
def test_embeddings_are_floating_point_numbers(loss: MetricLoss, rows: Tensor):
    with pytest.raises(ValueError, match=r"embeddings must be .*floating point numbers, got torch\.\w+"):
        loss(rows, LABELS)


@each_comparing
def test_the_finer_precision_of_embeddings_and_references_is_kept(loss: MetricLoss):
    expected = loss(X.double(), LABELS, References(X.double(), LABELS, OWN))
    for rows, columns in ((X, X.double()), (X.double(), X)):
        found = loss(rows, LABELS, References(columns, LABELS, OWN))
        assert found.dtype == torch.float64
        torch.testing.assert_close(found, expected)


@each_learning
def test_the_finer_precision_of_embeddings_and_class_weights_is_kept(loss: MetricLoss):
    found = loss(X.double(), LABELS)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found.float(), loss(X, LABELS))
    found.backward()
    assert all(weight.grad is not None and weight.grad.dtype == torch.float32 for weight in loss.parameters())
    loss.zero_grad()


def test_an_anchor_whose_own_column_has_another_label_is_not_its_own_negative():
    labels = torch.tensor([0, 1])
    found = ContrastiveLoss().relevance(labels, labels.flip(0), torch.arange(2))
    assert not found.negative.diagonal().any()
