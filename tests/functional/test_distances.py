import pytest
import torch
from torch import nn

from metric_lightning.distances import (
    CosineDistance,
    Distance,
    DotProductDistance,
    EuclideanDistance,
    LpDistance,
    SignalToNoiseDistance,
    SquaredEuclideanDistance,
)
from metric_lightning.functional.distances import euclidean_distances, squared_euclidean_distances
from metric_lightning.parts import describe
from tests.contract.parts_from_plain import rebuild


def signal_to_noise(x, y):
    return (x - y).var(correction=0) / x.var(correction=0) if bool((x != x.mean()).any()) else (x * 0).sum()


def length(x):
    return x.square().sum().sqrt()


ORACLES = {
    "euclidean": (EuclideanDistance(), lambda x, y: length(x - y)),
    "squared": (SquaredEuclideanDistance(), lambda x, y: (x - y).square().sum()),
    "cosine": (CosineDistance(), lambda x, y: 1 - (x @ y) / (length(x) * length(y))),
    "dot": (DotProductDistance(), lambda x, y: -(x @ y)),
    "manhattan": (LpDistance(p=1), lambda x, y: (x - y).abs().sum()),
    "l3": (LpDistance(p=3), lambda x, y: (x - y).abs().pow(3).sum() ** (1 / 3)),
    "signal-to-noise": (SignalToNoiseDistance(), signal_to_noise),
}
each = pytest.mark.parametrize(("distance", "oracle"), ORACLES.values(), ids=ORACLES)


def rows(number: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(number, 4, generator=generator, dtype=torch.float64).requires_grad_()


@each
def test_value_and_gradient_equal_the_oracle(distance, oracle):
    x, y, weights = rows(3, 0), rows(5, 1), torch.randn(3, 5, dtype=torch.float64)
    found = distance(x, y)
    expected = torch.stack([torch.stack([oracle(a, b) for b in y]) for a in x])
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)
    gradients = [torch.autograd.grad((table * weights).sum(), (x, y)) for table in (found, expected)]
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-9, atol=1e-9)


@each
def test_gradcheck(distance, oracle):
    assert torch.autograd.gradcheck(distance, (rows(2, 0), rows(3, 1)))


@each
def test_of_itself_and_of_zeros_finite_in_value_and_gradient(distance, oracle):
    for x in (rows(4, 0), torch.zeros(4, 4, dtype=torch.float64).requires_grad_()):
        found = distance(x, x)
        assert found.isfinite().all()
        assert torch.autograd.grad(found.sum(), x)[0].isfinite().all()


@each
@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty(distance, oracle, shape):
    x, y = rows(shape[0], 0), rows(shape[1], 1)
    found = distance(x, y)
    assert found.shape == shape
    found.sum().backward()
    assert x.grad.shape == x.shape and y.grad.shape == y.shape


@each
def test_described(distance, oracle):
    again = rebuild(describe(distance))
    torch.testing.assert_close(again(rows(2, 0), rows(3, 1)), distance(rows(2, 0), rows(3, 1)))


@each
def test_similarity_is_larger_where_the_distance_is_smaller(distance: Distance, oracle):
    found = distance(rows(3, 0), rows(5, 1))
    assert torch.equal(distance.similarity(found).argmax(dim=1), found.argmin(dim=1))


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_equal_rows_are_at_zero_and_near_ones_are_told_apart_far_from_the_origin(offset):
    x = torch.randn(50, 16) + offset
    found = euclidean_distances(x, x)
    assert not found.diagonal().any()
    moved = x + 0.05 * torch.randn(50, 16)
    exact = (x.double()[:, None] - moved.double()).norm(dim=2)
    torch.testing.assert_close(euclidean_distances(x, moved).double(), exact, rtol=2e-3, atol=0)


@pytest.mark.parametrize("apart", [0.003, 0.01, 0.1])
def test_near_rows_are_neither_nearer_nor_farther_than_they_are(apart):
    """In single precision; each is off by rounding, but not all to the same side."""
    generator = torch.Generator().manual_seed(0)
    x = nn.functional.normalize(torch.randn(400, 32, generator=generator), dim=1)
    y = x + apart * nn.functional.normalize(torch.randn(400, 32, generator=generator), dim=1)
    exact = (x.double() - y.double()).norm(dim=1)
    ratios = euclidean_distances(x, y).diagonal().double() / exact
    assert abs(ratios.median() - 1) < 0.004
    squared = squared_euclidean_distances(x, y).diagonal().double() / exact.square()
    assert abs(squared.median() - 1) < 0.008


@each
def test_under_autocast_as_without(distance, oracle):
    x, y = rows(3, 0).detach().float(), rows(5, 1).detach().float().requires_grad_()
    expected = distance(x, y)
    with torch.autocast("cpu", torch.bfloat16):
        found = distance(x, y)
        rounded = distance(x.bfloat16(), y)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    torch.testing.assert_close(*torch.autograd.grad(found.sum(), y), *torch.autograd.grad(expected.sum(), y))
    torch.testing.assert_close(rounded, distance(x.bfloat16().float(), y), rtol=0, atol=0)


def test_equal_rows_pull_nothing():
    x = torch.ones(3, 4).requires_grad_()
    euclidean_distances(x, x).sum().backward()
    assert not x.grad.any()


def test_only_what_is_needed_has_a_gradient():
    x, y = rows(2, 0), rows(3, 1).detach()
    for function in (euclidean_distances, squared_euclidean_distances):
        function(x, y).sum().backward()
        assert y.grad is None


def test_exponents_below_one_are_no_distance():
    with pytest.raises(ValueError, match=r"p must be at least 1, got 0.5"):
        LpDistance(p=0.5)
