"""Weighted city-block distances against a loop."""

import pytest
import torch

from metric_lightning.functional import weighted_l1
from metric_lightning.functional.weighted_l1 import weighted_l1_distances


def by_loop(x, y, weight):
    rows = [torch.stack([(weight * (a - b).abs()).sum() for b in y]) for a in x]
    return torch.stack(rows)


def rows_with_ties(number, seed):
    x = torch.randn(number, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x[number - 1] = x[0]  # kinks: their gradient is 0
    x[1, 0] = x[2, 0] = 0
    return x.requires_grad_()


@pytest.fixture(params=[(1, 1), (30, 2), (64, 3), (2**18, 32)], ids=str)
def tile(request, monkeypatch):
    monkeypatch.setitem(weighted_l1._TILE_ELEMENTS, "cpu", request.param[0])
    monkeypatch.setitem(weighted_l1._TILE_ROWS, "cpu", request.param[1])


def assert_equal_to_loop(x, y, weight):
    pull = torch.randn(len(x), len(y), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    inputs = [x, weight] if y is x else [x, y, weight]
    found, wanted = weighted_l1_distances(x, y, weight), by_loop(x, y, weight)
    torch.testing.assert_close(found, wanted)
    for one, other in zip(
        torch.autograd.grad((found * pull).sum(), inputs),
        torch.autograd.grad((wanted * pull).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("weights", [[0.7, -1.3, 0.0], [1.0, 1.0, 1.0]], ids=str)
def test_value_and_gradients_equal_the_loop(weights, tile):
    x, y = rows_with_ties(5, 0), rows_with_ties(4, 1)
    with torch.no_grad():
        y[1] = x[2]
    assert_equal_to_loop(x, y, torch.tensor(weights, dtype=torch.float64, requires_grad=True))


def test_rows_against_themselves_equal_the_loop(tile):
    x = rows_with_ties(7, 0)
    weight = torch.tensor([0.7, -1.3, 0.0], dtype=torch.float64, requires_grad=True)
    assert_equal_to_loop(x, x, weight)
    found = weighted_l1_distances(x, x, weight)
    assert torch.equal(found, found.T) and not found.diagonal().any() and found[0, 6] == 0


@pytest.mark.parametrize("tied", [0, 1, 3])
def test_rows_against_themselves_where_some_components_have_ties(tied, tile):
    x = torch.randn(6, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    x[4, :tied] = x[1, :tied]
    assert_equal_to_loop(x.requires_grad_(), x, torch.ones(3, dtype=torch.float64, requires_grad=True))


def test_a_common_offset_costs_no_digits_of_the_weights_gradient():
    x, y = torch.randn(20, 2, generator=torch.Generator().manual_seed(0)).split(10)
    for left, right in ((x, y), (x, x)):
        gradients = []
        for offset in (0.0, 1024.0):
            weight = torch.ones(2, requires_grad=True)
            # Whole 64ths, so that nothing is rounded where they are moved.
            moved = (left * 64).round() / 64 + offset
            other = moved if right is left else (right * 64).round() / 64 + offset
            gradients += torch.autograd.grad(weighted_l1_distances(moved, other, weight).sum(), weight)
        torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-5, atol=0)


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0), (0, 0)])
def test_no_rows_or_columns(rows, columns):
    x, y = torch.zeros(rows, 2, requires_grad=True), torch.zeros(columns, 2, requires_grad=True)
    weight = torch.ones(2, requires_grad=True)
    found = weighted_l1_distances(x, y, weight)
    assert found.shape == (rows, columns)
    found.sum().backward()
    assert not weight.grad.any() and x.grad.shape == x.shape


def test_no_rows_against_themselves():
    x, weight = torch.zeros(0, 2, requires_grad=True), torch.ones(2, requires_grad=True)
    weighted_l1_distances(x, x, weight).sum().backward()
    assert x.grad.shape == x.shape and not weight.grad.any()


def test_shapes_that_do_not_go_together():
    with pytest.raises(ValueError, match=r"x \(1, 2\), y \(1, 3\), weight \(2,\)"):
        weighted_l1_distances(torch.zeros(1, 2), torch.zeros(1, 3), torch.zeros(2))
