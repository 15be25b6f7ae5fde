"""Weighted city-block distances against a loop."""

import pytest
import torch

from metric_lightning.functional import weighted_l1
from metric_lightning.functional.weighted_l1 import weighted_l1_distances


def by_loop(x, y, weight):
    rows = [torch.stack([(weight * (a - b).abs()).sum() for b in y]) for a in x]
    return torch.stack(rows)


@pytest.mark.parametrize("chunk", [1, 30, 2**20])
def test_value_and_gradients_equal_the_loop(chunk, monkeypatch):
    monkeypatch.setattr(weighted_l1, "_CHUNK_ELEMENTS", chunk)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    y = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    y[1] = x[2]  # a kink: its gradient is 0
    weight = torch.tensor([0.7, -1.3, 0.0], dtype=torch.float64)  # one of each sign
    pull = torch.randn(5, 4, generator=generator, dtype=torch.float64)
    inputs = [item.requires_grad_() for item in (x, y, weight)]
    found, wanted = weighted_l1_distances(*inputs), by_loop(*inputs)
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad((found * pull).sum(), inputs),
        torch.autograd.grad((wanted * pull).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0)])
def test_no_rows_or_columns(rows, columns):
    x, y = torch.zeros(rows, 2, requires_grad=True), torch.zeros(columns, 2, requires_grad=True)
    weight = torch.ones(2, requires_grad=True)
    found = weighted_l1_distances(x, y, weight)
    assert found.shape == (rows, columns)
    found.sum().backward()
    assert not weight.grad.any() and x.grad.shape == x.shape


def test_shapes_that_do_not_go_together():
    with pytest.raises(ValueError, match=r"x \(1, 2\), y \(1, 3\), weight \(2,\)"):
        weighted_l1_distances(torch.zeros(1, 2), torch.zeros(1, 3), torch.zeros(2))
