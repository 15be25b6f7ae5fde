import math

import pytest
import torch

from metric_lightning.functional.draws import draw_between, draw_columns, draw_of_groups, draw_one
from metric_lightning.functional.hashing import anchor_keys, random_bits
from metric_lightning.functional.smallest import smallest_places
from metric_lightning.types import Pairs

KEYS = anchor_keys(0, 0, torch.arange(2000))


def chi_square(counts: torch.Tensor, expected: float) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


@pytest.mark.parametrize("fitting", [900, 40, 2], ids=["found by trying", "sometimes", "hardly ever"])
def test_negatives_in_range_are_alike_likely_however_many_there_are(fitting: int):
    distances = torch.full((2000, 1001), 9.0)
    distances[:, :fitting] = 0.5
    distances[:, -1] = 0.0
    positive = torch.arange(1001) == 1000
    pairs = Pairs(positive.expand(2000, -1), ~positive.expand(2000, -1))
    found = draw_between(distances, pairs, KEYS, above=0.2, below=1.0)
    assert torch.equal(found.anchor, torch.arange(2000))
    assert found.negative.max() < fitting
    # Ten bins of negatives, 9 degrees of freedom: above 40 with a chance of 1e-5.
    bins = min(10, fitting)
    counts = torch.bincount(found.negative * bins // fitting, minlength=bins).double()
    assert chi_square(counts, 2000 / bins) < 40


def test_of_a_crowded_anchor_every_pair_draws_alike_likely_and_as_rows_apart_do():
    """Many positives of an anchor with few negatives in range: drawn from the sorted row, not pair by pair."""
    near = 20
    distances = torch.full((50, 1020), 9.0)
    distances[:, :near] = torch.linspace(0, 1, near)
    distances[:, 500:504] = 1.5  # in range of all positives
    distances[:, 600] = 0.9  # in range of those below 0.7
    positive = (torch.arange(1020) < near).expand(50, -1)
    keys = KEYS[:50]
    found = draw_between(distances, Pairs(positive, ~positive), keys, above=0.2, below=2.0)
    fitting = [[500, 501, 502, 503] + ([600] if value + 0.2 < 0.9 else []) for value in distances[0, :near].tolist()]
    assert torch.equal(found.positive, torch.arange(near).repeat(50))
    assert all(int(n) in fitting[int(p)] for p, n in zip(found.positive, found.negative, strict=True))
    alike = found.negative[found.positive >= 15]  # four negatives each
    assert chi_square(torch.bincount(alike - 500, minlength=4).double(), len(alike) / 4) < 30
    by_row = [
        draw_between(distances[row], Pairs(positive[row], ~positive[row]), keys[row], above=0.2, below=2.0)
        for row in torch.arange(50).split(1)
    ]
    assert torch.equal(found.negative, torch.cat([part.negative for part in by_row]))


def test_nothing_in_range_gives_nothing():
    positive = torch.tensor([[True, False, False]])
    found = draw_between(torch.tensor([[0.0, 5.0, 5.0]]), Pairs(positive, ~positive), KEYS[:1], -math.inf, 1.0)
    assert [len(index) for index in found] == [0, 0, 0]


def test_one_of_a_row():
    mask = torch.rand(500, 9, generator=torch.Generator().manual_seed(0)) < 0.3
    drawn = draw_one(mask, KEYS[:500])
    assert torch.equal(drawn >= 0, mask.any(dim=1))
    filled = (drawn >= 0).nonzero()[:, 0]
    assert mask[filled, drawn[filled]].all()


def test_columns_without_replacement():
    mask = torch.rand(500, 9, generator=torch.Generator().manual_seed(0)) < 0.5
    number = torch.arange(500) % 6
    drawn = draw_columns(mask, number, KEYS[:500])
    assert not (drawn & ~mask).any()
    assert torch.equal(drawn.sum(dim=1), torch.minimum(number, mask.sum(dim=1)))
    counts = draw_columns(torch.ones(2000, 8) > 0, torch.full((2000,), 3), KEYS).sum(dim=0)
    assert chi_square(counts.double(), 750) < 40


@pytest.mark.parametrize("stingy", [False, True], ids=["by a bound", "where the bound kept too few"])
def test_groups(stingy: bool):
    groups = torch.randint(0, 7, (3000,), generator=torch.Generator().manual_seed(1)) ** 2 // 6  # uneven
    bits = random_bits(KEYS[:1], 3000)[0]
    if stingy:
        bits = bits // 2 + (1 << 30)
    sizes = torch.bincount(groups)
    drawn = draw_of_groups(groups, bits, sizes, 10)
    assert len(drawn.unique()) == len(drawn)
    found = torch.bincount(groups[drawn], minlength=len(sizes))
    assert torch.equal(found, sizes.clamp_max(10))


def test_a_group_no_larger_than_asked_needs_no_sorting_of_the_others(monkeypatch):
    """The bound of a small group must not overflow: all would be sorted, right but slow."""
    sorted_at_once = []
    argsort = torch.Tensor.argsort
    monkeypatch.setattr(torch.Tensor, "argsort", lambda keys: sorted_at_once.append(len(keys)) or argsort(keys))
    groups = (torch.arange(5000) < 5).to(torch.int64)
    draw_of_groups(groups, random_bits(KEYS[:1], 5000)[0], torch.tensor([4995, 5]), 10)
    assert sorted_at_once[0] < 200


@pytest.mark.parametrize("kind", ["random", "equal", "ties", "the small ones between samples"])
@pytest.mark.parametrize("number", [0, 1, 100, 5000])
def test_smallest_places(kind: str, number: int):
    values = torch.rand(5000, generator=torch.Generator().manual_seed(2))
    if kind == "equal":
        values.fill_(1.0)
    if kind == "ties":
        values = (values * 4).floor()
    if kind == "the small ones between samples":
        values[::61] = -1.0
    expected = sorted(range(5000), key=lambda place: (float(values[place]), place))[:number]
    assert smallest_places(values, number).tolist() == expected
