"""The contract of every miner (house rule 7). A name in `miners.__all__` without a case fails."""

import copy
import json
from collections import Counter

import pytest
import torch
from scipy.stats import chi2
from torch import Tensor

from metric_lightning import miners
from metric_lightning.miners import Miner, PairMiner
from metric_lightning.parts import describe
from metric_lightning.types import Pairs, References, TripletBand, Triplets
from tests.contract.case import all_cases, without_a_case
from tests.contract.miner_case import MinerCase, Pick, picks
from tests.contract.oracles import same_label_pairs
from tests.contract.parts_from_plain import rebuild

CASES: list[MinerCase] = all_cases("MINER_CASES")
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
each_draw = pytest.mark.parametrize("case", [case for case in CASES if case.draws], ids=lambda case: case.name)
LABELS = torch.tensor([0, 1, 0, 2, 1, 0, 2, 3, 0, 1])


def test_every_public_miner_has_a_case():
    assert not without_a_case(miners, CASES)


def random_distances(rows: int, columns: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.rand(rows, columns, generator=generator, dtype=torch.float64)


def own_pairs(labels: Tensor) -> Pairs:
    return same_label_pairs(labels, labels, torch.arange(len(labels)))


def gallery() -> tuple[Tensor, Pairs]:
    """Anchors against columns that they are not among; class 9 has no anchor."""
    others = torch.tensor([0, 1, 2, 3, 0, 9, 1, 2, 0, 9, 1, 0, 0])
    return random_distances(10, 13), same_label_pairs(LABELS, others, None)


def ties() -> Tensor:
    """Distances of which many are equal, as those of duplicates are."""
    return (random_distances(10, 10) * 4).round() / 4


BATCHES = {
    "random": lambda: (random_distances(10, 10), own_pairs(LABELS)),
    "gallery": gallery,
    "ties": lambda: (ties(), own_pairs(LABELS)),
    "all_equal": lambda: (torch.ones(10, 10, dtype=torch.float64), own_pairs(LABELS)),
    "zeros": lambda: (torch.zeros(10, 10, dtype=torch.float64), own_pairs(LABELS)),
    "one_class": lambda: (random_distances(6, 6), own_pairs(torch.zeros(6))),
    "all_classes_distinct": lambda: (random_distances(6, 6), own_pairs(torch.arange(6))),
    "one_sample": lambda: (random_distances(1, 1), own_pairs(torch.zeros(1))),
    "empty": lambda: (random_distances(0, 0), own_pairs(torch.zeros(0))),
    "no_rows": lambda: (random_distances(0, 5), Pairs(*torch.zeros(2, 0, 5, dtype=torch.bool))),
    "no_columns": lambda: (random_distances(5, 0), Pairs(*torch.zeros(2, 5, 0, dtype=torch.bool))),
    "no_negatives": lambda: (random_distances(4, 4), Pairs(torch.ones(4, 4) > 0, torch.ones(4, 4) < 0)),
    "many": lambda: (random_distances(32, 32), own_pairs(torch.arange(32) % 2)),
}


def batch_of(case: MinerCase, name: str) -> tuple[Tensor, Pairs]:
    distances, pairs = BATCHES[name]()
    if case.square and distances.shape[0] != distances.shape[1]:
        pytest.skip("needs the batch to be its own reference set")
    return distances, pairs


def picked_by(miner: Miner, distances: Tensor, pairs: Pairs) -> list[Pick]:
    return picks(miner(distances, pairs), distances)


def in_range(result: Pairs | Triplets | TripletBand, pairs: Pairs) -> None:
    if isinstance(result, Triplets):
        anchor, positive, negative = result
        assert anchor.dtype == positive.dtype == negative.dtype == torch.int64
        assert pairs.positive[anchor, positive].all()
        assert pairs.negative[anchor, negative].all()
    elif isinstance(result, Pairs):
        assert result.positive.dtype == result.negative.dtype == torch.bool
        assert not (result.positive & ~pairs.positive).any()
        assert not (result.negative & ~pairs.negative).any()


@each_case
@pytest.mark.parametrize("name", BATCHES)
def test_picks_what_the_oracle_allows(case: MinerCase, name: str):
    distances, pairs = batch_of(case, name)
    miner = case.make()
    result = miner(distances, pairs)
    in_range(result, pairs)
    picked = picks(result, distances)
    assert len(set(picked)) == len(picked)
    left = set(picked)
    for choice in case.oracle(miner, distances, pairs):
        taken = left & set(choice.candidates)
        assert len(taken) == choice.number
        left -= taken
    assert not left


def counts_over_rows(case: MinerCase, row: Tensor, pairs: Pairs, times: int) -> Counter[Pick]:
    """Count what equal rows with different keys pick: rows, not only steps, draw independently."""
    distances = row.expand(times, -1).clone()
    result = case.make()(distances, Pairs(*(mask.expand(times, -1) for mask in pairs[:2])))
    return Counter((0, *pick[1:]) for pick in picks(result, distances))


def counts_over_steps(case: MinerCase, distances: Tensor, pairs: Pairs, times: int) -> Counter[Pick]:
    miner = case.make()
    return Counter(pick for _ in range(times) for pick in picked_by(miner, distances, pairs))


@each_draw
def test_draws_have_the_chances_of_the_oracle(case: MinerCase):
    """Chi-square."""
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6])
    miner = case.make()
    if miner.row_wise:
        times, distances, pairs = 3000, random_distances(1, 12, seed=4), own_pairs(labels)
        pairs = Pairs(pairs.positive[:1], pairs.negative[:1])
        counts = counts_over_rows(case, distances, pairs, times)
    else:
        times, distances, pairs = 600, random_distances(12, 12, seed=4), own_pairs(labels)
        counts = counts_over_steps(case, distances, pairs, times)
    tested = 0
    for candidates, number, weights in case.oracle(miner, distances, pairs):
        if number == len(candidates):
            continue
        observed = torch.tensor([float(counts[pick]) for pick in candidates])
        chances = torch.ones(len(candidates)) if weights is None else torch.tensor(weights)
        expected = times * number * chances / chances.sum()
        # Without replacement counts vary less: by (1 - number / candidates).
        spare = 1 - number / len(candidates) if weights is None else 1 - 1 / len(candidates)
        statistic = ((observed - expected) ** 2 / expected).sum() / spare * (1 - 1 / len(candidates))
        assert statistic < chi2.ppf(1 - 1e-5, len(candidates) - 1), (observed, expected)
        tested += 1
    assert tested, "the batch leaves nothing to chance"


@each_draw
def test_pairs_of_an_anchor_draw_independently(case: MinerCase):
    """Two positives of an anchor with the same candidates meet the same negative as often as chance has it."""
    if not case.make().row_wise:
        pytest.skip("looks at rows together")
    rows, candidates = 2000, 8
    distances = torch.cat([torch.full((rows, 2), 0.5), torch.full((rows, candidates), 0.7)], dim=1).double()
    positive = torch.arange(2 + candidates) < 2
    pairs = Pairs(positive.expand(rows, -1), ~positive.expand(rows, -1))
    result = case.make()(distances, pairs)
    if not isinstance(result, Triplets) or len(result.anchor) != 2 * rows:
        pytest.skip("does not draw for each positive pair here")
    order = torch.argsort(result.anchor * 2 + result.positive)
    first, second = result.negative[order].view(rows, 2).T
    spread = (rows / candidates * (1 - 1 / candidates)) ** 0.5
    assert abs(int((first == second).sum()) - rows / candidates) < 5 * spread


@each_draw
def test_each_training_step_draws_anew_and_evaluation_repeats(case: MinerCase):
    distances, pairs = BATCHES["many"]()
    miner = case.make()
    first, second = picked_by(miner, distances, pairs), picked_by(miner, distances, pairs)
    assert first != second
    assert picked_by(case.make(), distances, pairs) == first
    miner.eval()
    assert picked_by(miner, distances, pairs) == picked_by(miner, distances, pairs)


@each_draw
def test_seeds_differ(case: MinerCase):
    distances, pairs = BATCHES["many"]()
    description = describe(case.make())
    description["init_args"]["seed"] = 1
    assert picked_by(rebuild(description), distances, pairs) != picked_by(case.make(), distances, pairs)


@each_case
def test_state_dict_resumes(case: MinerCase):
    distances, pairs = BATCHES["many"]()
    miner, other = case.make(), case.make()
    miner(distances, pairs)
    other.load_state_dict(miner.state_dict())
    assert picked_by(other, distances, pairs) == picked_by(miner, distances, pairs)


@each_case
def test_description_rebuilds_the_miner(case: MinerCase):
    distances, pairs = BATCHES["random"]()
    description = json.loads(json.dumps(describe(case.make())))
    assert picked_by(rebuild(description), distances, pairs) == picked_by(case.make(), distances, pairs)


@each_case
def test_rows_mine_alone_what_they_mine_together(case: MinerCase):
    distances, pairs = BATCHES["many"]()
    miner = case.make()
    if not miner.row_wise:
        pytest.skip("chooses over the whole batch")
    pairs = pairs._replace(keys=miner.keys(torch.arange(32)))
    whole, parts = picked_by(miner, distances, pairs), []
    for start in range(0, 32, 5):
        rows = slice(start, start + 5)
        found = picked_by(miner, distances[rows], Pairs(*(mask if mask is None else mask[rows] for mask in pairs)))
        parts += [(start + pick[0], *pick[1:]) for pick in found]
    assert sorted(parts) == whole


@each_case
def test_picks_what_the_peer_picks(case: MinerCase):
    if case.peer is None:
        pytest.skip("no peer has the same definition")
    pytest.importorskip("pytorch_metric_learning")
    x, labels = (
        torch.randn(24, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64),
        torch.arange(24) % 5,
    )
    theirs = case.peer()
    table = theirs.distance(x, x)
    picked = [index.tolist() for index in theirs(x, labels)]
    miner = case.make()
    if isinstance(miner, PairMiner):
        positive, negative = zip(*picked[:2], strict=True), zip(*picked[2:], strict=True)
        expected = sorted([(*pair, 1) for pair in positive] + [(*pair, 0) for pair in negative])
    else:
        if len(picked) == 4:  # some list the two pairs of a triplet, one after the other
            assert picked[0] == picked.pop(2)
        expected = sorted(zip(*picked, strict=True))
    assert expected and len(expected) == len(set(expected))
    assert picked_by(miner, 1 - table if theirs.distance.is_inverted else table, own_pairs(labels)) == expected


@each_case
@pytest.mark.parametrize("block_size", [1, 3, 7])
def test_blocks_and_ranks_train_as_the_whole(case: MinerCase, block_size: int):
    x, labels = torch.randn(23, 4, dtype=torch.float64).requires_grad_(), torch.arange(23) % 4
    start = case.loss()
    whole, blocked = copy.deepcopy(start), copy.deepcopy(start)
    whole.block_size, blocked.block_size = 100, block_size
    value = whole(x, labels)
    (expected,) = torch.autograd.grad(value, x)
    found = blocked(x, labels)
    torch.testing.assert_close(found, value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(found, x)[0], expected, rtol=1e-12, atol=1e-12)
    if not start.row_wise:
        return
    total, count = 0, 0
    for rows in (slice(0, block_size), slice(block_size, 23)):
        columns = References(x, labels, torch.arange(23)[rows])
        (ratio,) = copy.deepcopy(start).terms(x[rows], labels[rows], columns).values()
        total, count = total + ratio.total, count + ratio.count
    torch.testing.assert_close(total / count, value, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(torch.autograd.grad(total / count, x)[0], expected, rtol=1e-12, atol=1e-12)
