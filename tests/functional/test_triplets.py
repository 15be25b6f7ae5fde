"""The closed forms, where each anchor has few positives and where it has many; bands."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from metric_lightning.functional import cached_rows as rows_in_cache
from metric_lightning.functional.triplet_bands import triplet_band_sums
from metric_lightning.functional.triplets import count_triplets, triplet_hinge_sums, triplet_soft_margin_sums
from metric_lightning.types import Pairs, TripletBand


def batch(few: bool):
    generator = torch.Generator().manual_seed(0)
    columns = 12 if few else 70
    distances = torch.rand(6, columns, generator=generator, dtype=torch.float64).requires_grad_()
    kind = torch.randint(0, 3, (6, columns), generator=generator)
    positive, negative = kind == 1, kind == 2
    positive[1], negative[2] = False, False
    return distances, positive, negative


def every_triplet(distances, positive, negative):
    """Differences d_p - d_n of each anchor."""
    return [(row[p][:, None] - row[n][None]).flatten() for row, p, n in zip(distances, positive, negative, strict=True)]


@pytest.fixture(params=[2**17, 20], ids=["rows together", "rows alone"])
def cache(request, monkeypatch):
    monkeypatch.setattr(rows_in_cache, "_ELEMENTS", request.param)


@pytest.mark.parametrize("few", [True, False], ids=["by slots", "by search"])
@pytest.mark.parametrize("margin", [0.0, 0.3, 2.0])
def test_hinge(few, margin, cache):
    distances, positive, negative = batch(few)
    costs = [(difference + margin).clamp_min(0) for difference in every_triplet(distances, positive, negative)]
    totals, active = triplet_hinge_sums(distances, positive, negative, margin)
    expected = torch.stack([cost.sum() for cost in costs])
    torch.testing.assert_close(totals, expected)
    assert active.tolist() == [int((cost > 0).sum()) for cost in costs]
    weights = torch.randn(6, dtype=torch.float64)
    gradients = [torch.autograd.grad(value @ weights, distances)[0] for value in (totals, expected)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("few", [True, False], ids=["few slots", "many slots"])
@pytest.mark.parametrize("scale", [1.0, 200.0])
def test_soft_margin(few, scale, cache):
    distances, positive, negative = batch(few)
    differences = every_triplet(distances, positive, negative)
    expected = torch.stack([softplus(scale * difference + 0.1, threshold=700).sum() for difference in differences])
    totals = triplet_soft_margin_sums(scale * distances, positive, negative, margin=0.1)
    torch.testing.assert_close(totals, expected)
    gradients = [torch.autograd.grad(value.sum(), distances)[0] for value in (totals, expected)]
    torch.testing.assert_close(*gradients)


def test_soft_margin_of_many_equal_distances_does_not_overflow():
    """The product of 200 factors 2 is beyond float32."""
    positive = torch.arange(300) < 200
    found = triplet_soft_margin_sums(torch.zeros(1, 300), positive[None], ~positive[None])
    torch.testing.assert_close(found, torch.tensor([200 * 100 * math.log(2)]))


@pytest.mark.parametrize(
    "bounds", [(-math.inf, 0.2), (-math.inf, 0.0), (0.0, 0.2), (0.2, math.inf), (-math.inf, math.inf)]
)
def test_bands(bounds, cache):
    distances, positive, negative = batch(few=True)
    above, below = bounds
    expected, active, every = [], [], []
    for difference in every_triplet(distances, positive, negative):
        inside = difference[(-difference > above) & (-difference <= below)]
        costs = (inside + 0.5).clamp_min(0)
        expected.append(costs.sum())
        active.append(int((costs > 0).sum()))
        every.append(len(inside))
    found = triplet_band_sums(
        distances,
        TripletBand(Pairs(positive, negative), above, below),
        lambda difference: (difference + 0.5).clamp_min(0),
        lambda difference: (difference > -0.5).to(difference.dtype),
    )
    torch.testing.assert_close(found[0], torch.stack(expected))
    assert (found[1].tolist(), found[2].tolist()) == (active, every)
    gradients = [torch.autograd.grad(value.sum(), distances)[0] for value in (found[0], torch.stack(expected))]
    torch.testing.assert_close(*gradients)


def test_count():
    _, positive, negative = batch(few=True)
    assert torch.equal(count_triplets(positive, negative, torch.float64), positive.sum(1) * negative.sum(1).double())


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0)])
def test_empty(shape):
    nothing = torch.zeros(shape, dtype=torch.bool)
    distances = torch.zeros(shape).requires_grad_()
    for sums in (
        triplet_hinge_sums(distances, nothing, nothing, 1.0)[0],
        triplet_soft_margin_sums(distances, nothing, nothing),
    ):
        assert sums.tolist() == [0.0] * shape[0]
        sums.sum().backward()
