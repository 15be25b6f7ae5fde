from itertools import product

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from metric_lightning.applications.cosegmentation import MutualCorrelation, mutual_correlation, strongest_match
from metric_lightning.applications.cosegmentation.correlation import displacements


def slow_correlation(first: Tensor, second: Tensor, reach: int) -> Tensor:
    """c_AB by its definition, place by place, displacement by displacement."""
    n, _, height, width = first.shape
    span = 2 * reach + 1
    batches = []
    for a, b in zip(first, second, strict=True):
        channels = []
        for down in range(-reach, reach + 1):
            for right in range(-reach, reach + 1):
                rows = []
                for i in range(height):
                    row = []
                    for j in range(width):
                        inside = 0 <= i + down < height and 0 <= j + right < width
                        row.append((a[:, i, j] * b[:, i + down, j + right]).sum() if inside else a.new_zeros(()))
                    rows.append(torch.stack(row))
                channels.append(torch.stack(rows))
        batches.append(torch.stack(channels))
    assert batches[0].shape == (span**2, height, width)
    return torch.stack(batches)


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 2, 3, 5), (1, 4, 5, 2), (3, 2, 1, 1)])
@pytest.mark.parametrize("reach", [None, 0, 1, 2])
def test_value_and_gradient_are_those_of_the_loop(shape: tuple[int, ...], reach: int | None) -> None:
    inputs = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    known = max(shape[2:]) - 1 if reach is None else reach
    found = mutual_correlation(inputs[0], inputs[1], reach)
    copies = [value.detach().clone().requires_grad_() for value in inputs[:2]]
    expected = slow_correlation(*copies, known), slow_correlation(copies[1], copies[0], known)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    weights = [torch.randn_like(part) for part in found]
    for parts, leaves in ((found, inputs[:2]), (expected, copies)):
        sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True)).backward()
        assert all(leaf.grad is not None for leaf in leaves)
    for one, other in zip(inputs[:2], copies, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-12, rtol=0)


def test_gradcheck() -> None:
    maps = [torch.randn(2, 2, 2, 3, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    assert gradcheck(lambda a, b: mutual_correlation(a, b), maps)
    assert gradcheck(lambda a, b: MutualCorrelation(normalize=True)(a, b), maps)


def test_all_displacements_hold_every_product_once() -> None:
    """Whatever the shape, no pair of places is lost: the sums of all products agree."""
    one, other = torch.randn(2, 2, 3, 4, 7, dtype=torch.float64)
    found = mutual_correlation(one, other)[0]
    assert found.shape[1] == displacements(4, 7) ** 2 == 13**2
    torch.testing.assert_close(found.sum((1, 2, 3)), (one.sum((2, 3)) * other.sum((2, 3))).sum(1))
    assert (found != 0).sum() == 2 * 28 * 28


def test_the_two_directions_mirror_each_other() -> None:
    one, other = torch.randn(2, 1, 3, 4, 4)
    first, second = mutual_correlation(one, other)
    again_second, again_first = mutual_correlation(other, one)
    torch.testing.assert_close(first, again_first)
    torch.testing.assert_close(second, again_second)


def test_cosines_lie_in_one_and_zero_features_stay_zero() -> None:
    one, other = 30 * torch.randn(2, 1, 3, 4, 4)
    one[..., 0, 0] = 0
    one.requires_grad_()
    found, _ = MutualCorrelation(normalize=True)(one, other)
    assert found.abs().max() <= 1 + 1e-6 and (found[..., 0, 0] == 0).all()
    found.sum().backward()
    assert one.grad is not None and one.grad.isfinite().all()


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 2, 3, 5), (3, 2, 1, 1)])
def test_the_strongest_match_is_the_largest_product_with_any_place(shape: tuple[int, ...]) -> None:
    maps = torch.randn(2, *shape, dtype=torch.float64)
    for found, (one, other) in zip(strongest_match(*maps), (maps, maps.flip(0)), strict=True):
        assert found.shape == (shape[0], 1, *shape[2:])
        for pair, row, column in product(*(range(extent) for extent in (shape[0], *shape[2:]))):
            here = one[pair, :, row, column]
            there = other[pair].flatten(1).T
            assert found[pair, 0, row, column].item() == pytest.approx(max(float(here @ each) for each in there))


def test_the_strongest_match_is_a_further_channel_of_the_layer() -> None:
    maps = torch.randn(2, 2, 3, 4, 6)
    layer = MutualCorrelation(normalize=True, strongest=True)
    plain = MutualCorrelation(normalize=True)(*maps)
    units = maps / maps.norm(dim=2, keepdim=True)
    for found, all_products, best in zip(layer(*maps), plain, strongest_match(*units), strict=True):
        assert found.shape[1] == layer.channels(4, 6) == 11**2 + 1
        assert torch.equal(found[:, :-1], all_products)
        torch.testing.assert_close(found[:, -1:], best)


def test_maps_of_different_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        mutual_correlation(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match="one shape"):
        strongest_match(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match="reach"):
        MutualCorrelation(reach=-1)
