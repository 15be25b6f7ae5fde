"""Paths of the pairwise functions that batches of a contract test are too small to take."""

import pytest
import torch

from metric_lightning import losses
from metric_lightning.functional.log_sums import _SMALL, masked_logsumexp, positive_logsumexp
from metric_lightning.functional.pairs import pairs_from_labels
from metric_lightning.functional.soft_histogram import _CACHED, soft_histogram


@pytest.mark.parametrize("scale", [1.0, -3.0])
def test_sums_over_slots_equal_sums_over_all_columns(scale: float):
    labels = torch.randint(0, 40, (130,))
    positive = pairs_from_labels(labels, labels, torch.arange(130)).positive
    values = torch.randn(130, 130, dtype=torch.float64, requires_grad=True)
    assert values.numel() > _SMALL
    found, expected = positive_logsumexp(values, positive, scale), masked_logsumexp(values, positive, scale)
    torch.testing.assert_close(found, expected)
    gradients = [torch.autograd.grad(item[item.isfinite()].sum(), values)[0] for item in (found, expected)]
    torch.testing.assert_close(*gradients)


def test_histogram_in_pieces_equals_torch_histogram():
    positions = torch.randint(0, 11, (3 * _CACHED // 2,)).double()
    mask = torch.rand(len(positions)) < 0.7
    expected = torch.bincount(positions[mask].long(), minlength=11).double()
    torch.testing.assert_close(soft_histogram(positions, mask, 10), expected, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["InfoNCELoss", "NCALoss", "AngularLoss", "SmoothAPLoss", "HistogramLoss"])
def test_single_precision_is_close_to_double(name: str):
    x, labels = torch.nn.functional.normalize(torch.randn(160, 16)), torch.arange(160) % 20
    results = []
    for dtype in (torch.float32, torch.float64):
        rows = x.to(dtype).requires_grad_()
        value = getattr(losses, name)().to(dtype)(rows, labels)
        results.append([value.detach().double(), torch.autograd.grad(value, rows)[0].double()])
    torch.testing.assert_close(*results, rtol=1e-3, atol=1e-5)


def test_many_negatives_are_never_listed_as_triplets():
    """1,024 samples, 8 a class: 7 million triplets, which peers list and run out of memory, or take minutes."""
    x, labels = torch.randn(1024, 8, requires_grad=True), torch.arange(1024) // 8
    for name in ("InfoNCELoss", "TupletMarginLoss", "AngularLoss", "LiftedStructureLoss"):
        value = getattr(losses, name)()(x, labels)
        value.backward()
        assert value.isfinite()
    assert x.grad is not None and x.grad.isfinite().all()
