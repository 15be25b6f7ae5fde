"""What each strategy promises of its batches, checked batch by batch on small, lopsided label sets."""

from collections import Counter

import pytest
import torch

from metric_lightning.data import (
    BalancedBatches,
    BatchStrategy,
    PairBatches,
    PlainBatches,
    TripletBatches,
)
from metric_lightning.errors import UserError

# Class sizes 9, 1, 4, 6, 2; class 5 has no samples, labels are not sorted.
LOPSIDED = torch.tensor([0] * 9 + [1] + [2] * 4 + [3] * 6 + [6] * 2)[
    torch.randperm(22, generator=torch.Generator().manual_seed(3))
]
EVEN = torch.arange(60) % 5

STRATEGIES = [
    PlainBatches(batch_size=4),
    PairBatches(batch_size=4),
    TripletBatches(batch_size=4),
    BalancedBatches(n_classes=3, n_samples=2),
    BalancedBatches(n_classes=2, n_samples=3, rare_classes="leave_out", batches_per_epoch=7),
]
every_strategy = pytest.mark.parametrize(
    "strategy", STRATEGIES, ids=["plain", "pairs", "triplets", "balanced", "leave_out"]
)


def epoch(strategy: BatchStrategy, labels: torch.Tensor, number: int = 0, **options) -> list[list[int]]:
    sampler = strategy.sampler(labels, **options)
    sampler.set_epoch(number)
    batches = list(sampler)
    assert len(batches) == len(strategy.sampler(labels, **options))
    return [list(batch) for batch in batches]


@every_strategy
@pytest.mark.parametrize("labels", [LOPSIDED, EVEN], ids=["lopsided", "even"])
def test_same_seed_same_batches_and_otherwise_other_batches(strategy, labels):
    first = epoch(strategy, labels, seed=5)
    assert epoch(strategy, labels, seed=5) == first
    assert epoch(strategy, labels, number=1, seed=5) != first
    assert epoch(strategy, labels, seed=6) != first


@every_strategy
def test_unshuffled_batches_never_change(strategy):
    sampler = strategy.sampler(LOPSIDED, seed=5, shuffle=False)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(9)
    assert list(sampler) == first


@every_strategy
def test_each_pass_is_another_epoch_without_set_epoch(strategy):
    sampler = strategy.sampler(LOPSIDED)
    assert [list(sampler), list(sampler)] == [epoch(strategy, LOPSIDED, number) for number in (0, 1)]


@every_strategy
@pytest.mark.parametrize("world_size", [2, 3])
def test_a_step_of_all_ranks_is_as_many_steps_of_one_process(strategy, world_size):
    single = epoch(strategy, EVEN, number=2, seed=1)
    ranks = [epoch(strategy, EVEN, number=2, seed=1, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    interleaved = [batch for step in zip(*ranks, strict=True) for batch in step]
    whole = len(single) // world_size * world_size
    if strategy.batch_size == 1:
        assert interleaved == single[:whole]
        return
    # The rest of the rows, fewer than fill a round, is shared out.
    seen, expected = sum(interleaved, []), sum(single, [])
    assert seen == expected[: len(seen)]
    assert len(expected) - len(seen) < world_size * strategy.tuple_size
    sizes = [len(batches[-1]) // strategy.tuple_size for batches in ranks]
    assert max(sizes) - min(sizes) <= 1


def test_plain_batches_hold_each_sample_once():
    batches = epoch(PlainBatches(batch_size=4), LOPSIDED)
    assert [len(batch) for batch in batches] == [4] * 5 + [2]
    assert sorted(sum(batches, [])) == list(range(22))


def test_plain_batches_drop_last():
    batches = epoch(PlainBatches(batch_size=4, drop_last=True), LOPSIDED)
    assert [len(batch) for batch in batches] == [4] * 5


def test_plain_batches_unshuffled_are_in_order():
    batches = list(PlainBatches(batch_size=9).sampler(LOPSIDED, shuffle=False))
    assert sum(batches, []) == list(range(22))


@pytest.mark.parametrize("world_size", [2, 3, 5])
@pytest.mark.parametrize("size", [5, 6, 7, 19, 20, 21])
def test_plain_batches_over_ranks_lose_fewer_samples_than_ranks(size, world_size):
    labels = torch.zeros(size)
    ranks = [epoch(PlainBatches(batch_size=2), labels, rank=rank, world_size=world_size) for rank in range(world_size)]
    assert len({len(batches) for batches in ranks}) == 1
    seen = [index for batches in ranks for batch in batches for index in batch]
    assert len(set(seen)) == len(seen) > size - world_size
    assert all(batch for batches in ranks for batch in batches)


def test_more_ranks_than_samples_is_one_sentence():
    with pytest.raises(UserError, match="an epoch has 2 rows .* 3 process"):
        PlainBatches(batch_size=1).sampler(torch.zeros(2), world_size=3)


def test_pairs_half_of_one_class_each_sample_first_once():
    for number in range(5):
        batches = epoch(PairBatches(batch_size=4), LOPSIDED, number)
        pairs = torch.tensor(sum(batches, [])).view(-1, 2)
        assert sorted(pairs[:, 0].tolist()) == list(range(22))
        same = LOPSIDED[pairs[:, 0]] == LOPSIDED[pairs[:, 1]]
        assert same.tolist() == [True, False] * 11
        assert (pairs[:, 0] != pairs[:, 1]).all()


def test_pairs_with_mostly_lone_samples_have_fewer_positives():
    labels = torch.tensor([0, 0, 1, 2, 3, 4])
    pairs = torch.tensor(sum(epoch(PairBatches(batch_size=3), labels), [])).view(-1, 2)
    same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
    assert same.sum() == 2
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_mates_and_strangers_are_equally_likely():
    labels = torch.tensor([0, 0, 0, 1, 1])
    positives: Counter[int] = Counter()
    negatives: Counter[int] = Counter()
    for number in range(600):
        triplets = torch.tensor(sum(epoch(TripletBatches(5), labels, number), [])).view(-1, 3)
        of_first = triplets[triplets[:, 0] == 0][0]
        positives[int(of_first[1])] += 1
        negatives[int(of_first[2])] += 1
    assert set(positives) == {1, 2} and set(negatives) == {3, 4}
    # 300 expected, standard deviation 12.
    assert all(abs(count - 300) < 60 for count in [*positives.values(), *negatives.values()])


def test_triplets_are_triplets_and_lone_samples_no_anchors():
    batches = epoch(TripletBatches(batch_size=4), LOPSIDED)
    triplets = torch.tensor(sum(batches, [])).view(-1, 3)
    labels = LOPSIDED[triplets]
    assert sorted(triplets[:, 0].tolist()) == (LOPSIDED != 1).nonzero().flatten().tolist()
    assert (labels[:, 0] == labels[:, 1]).all() and (labels[:, 0] != labels[:, 2]).all()
    assert (triplets[:, 0] != triplets[:, 1]).all()


@pytest.mark.parametrize(("n_classes", "n_samples"), [(2, 1), (2, 3), (3, 2), (4, 5), (5, 2), (5, 12)])
@pytest.mark.parametrize("labels", [LOPSIDED, EVEN], ids=["lopsided", "even"])
def test_balanced_batches_are_full_and_balanced(labels, n_classes, n_samples):
    strategy = BalancedBatches(n_classes, n_samples)
    sizes = Counter(labels.tolist())
    batches = [batch for number in range(3) for batch in epoch(strategy, labels, number)]
    assert len(batches) == 3 * max(1, len(labels) // (n_classes * n_samples))
    for batch in batches:
        counts = Counter(labels[batch].tolist())
        assert sorted(counts.values()) == [n_samples] * n_classes
        for sample, times in Counter(batch).items():
            size = sizes[int(labels[sample])]
            # No sample twice, or as evenly as can be.
            assert times in {n_samples // size, -(-n_samples // size)}


def test_balanced_classes_and_samples_take_turns_over_epochs():
    strategy = BalancedBatches(n_classes=2, n_samples=2, batches_per_epoch=3)
    labels = torch.tensor([0] * 31 + [1] * 5 + [2] * 2 + [3] * 2 + [4] * 2)
    batches = [labels_of for number in range(200) for labels_of in epoch(strategy, labels, number)]
    # 5 classes, 2 a batch: a turn is 3 batches, with one class twice, each another one.
    turns = [sum(batches[i : i + 3], []) for i in range(0, len(batches), 3)]
    classes = [Counter(labels[turn].tolist()) for turn in turns]
    assert all(sorted(counts.values()) == [2, 2, 2, 2, 4] for counts in classes)
    twice = [next(label for label, count in counts.items() if count == 4) for counts in classes]
    assert all(len(set(twice[i : i + 5])) == 5 for i in range(0, 200, 5))
    # The one that fills up the last batch comes anywhere before.
    first = [
        [label in labels[batch] for batch in batches[3 * i : 3 * i + 3]].index(True) for i, label in enumerate(twice)
    ]
    assert set(first) == {0, 1}
    # Within class 0, 31 samples in groups of two: each 16 groups hold all of them.
    groups = [[i for i in batch if labels[i] == 0] for batch in batches]
    groups = [group for group in groups if group]
    assert len(groups) == 240
    for start in range(0, 240, 16):
        seen = Counter(sum(groups[start : start + 16], []))
        assert len(seen) == 31 and sorted(seen.values()) == [1] * 30 + [2]


def test_balanced_turns_are_shuffled():
    batches = epoch(BalancedBatches(n_classes=5, n_samples=2), EVEN)
    assert len({tuple(EVEN[batch].tolist()) for batch in batches}) > 1
    assert sum(batches, []) != sorted(sum(batches, []))


def test_leave_out_draws_no_rare_class():
    strategy = BalancedBatches(n_classes=2, n_samples=4, rare_classes="leave_out")
    batches = epoch(strategy, LOPSIDED)
    assert len(batches) == 19 // 8
    assert set(LOPSIDED[sum(batches, [])].tolist()) <= {0, 2, 3}


def test_balanced_epochs_over_ranks_are_cut_and_independent_of_their_number():
    strategy = BalancedBatches(n_classes=2, n_samples=2, batches_per_epoch=5)
    single = epoch(strategy, EVEN, number=4)
    for rank in range(2):
        assert epoch(strategy, EVEN, number=4, rank=rank, world_size=2) == single[rank:4:2]


def test_too_many_classes_is_one_sentence():
    with pytest.raises(UserError, match="n_classes is 6, but the training data has 5 classes"):
        BalancedBatches(n_classes=6, n_samples=1).sampler(LOPSIDED)
    strategy = BalancedBatches(n_classes=4, n_samples=4, rare_classes="leave_out")
    with pytest.raises(UserError, match=r"3 classes .*\(2 left out for fewer than 4 samples\)"):
        strategy.sampler(LOPSIDED)


@pytest.mark.parametrize("draws", [1, 2])
@pytest.mark.parametrize("world_size", [1, 2, 3, 4])
def test_ranks_that_share_a_batch_see_what_one_process_sees(world_size, draws):
    shared = BalancedBatches(3, 4, batches_per_epoch=7, draws_per_batch=draws, shard=True)
    alone = BalancedBatches(3, 4, batches_per_epoch=7, draws_per_batch=draws)
    for number in (0, 2):
        expected = alone.sampler(LOPSIDED, seed=5).draws(number)
        ranks = [
            shared.sampler(LOPSIDED, seed=5, rank=rank, world_size=world_size).draws(number)
            for rank in range(world_size)
        ]
        for whole, *parts in zip(expected, *ranks, strict=True):
            assert [sample for part in parts for sample in part] == list(whole)
            assert {len(part) for part in parts} == {len(whole) // world_size}
            # And each sample is augmented as there.
            assert {part.seed for part in parts} == {whole.seed}
            assert [part.first for part in parts] == [
                whole.first + rank * len(whole) // world_size for rank in range(world_size)
            ]


def test_a_shared_run_goes_on_with_any_number_of_ranks():
    strategy = BalancedBatches(2, 6, batches_per_epoch=6, shard=True)
    before = strategy.sampler(EVEN, seed=1, rank=2, world_size=3)
    batches = iter(before)
    for _ in range(4):
        next(batches)
    after = [strategy.sampler(EVEN, seed=1, rank=rank, world_size=2) for rank in range(2)]
    for sampler in after:
        sampler.load_state_dict(before.state_dict())
    whole = list(strategy.sampler(EVEN, seed=1))
    assert [first + second for first, second in zip(*after, strict=True)] == whole[4:]


def test_a_batch_that_ranks_can_not_share_evenly_is_refused():
    with pytest.raises(UserError, match="a batch of 9 samples can't be shared evenly by 2 ranks; make its size a mult"):
        BalancedBatches(3, 3, shard=True).sampler(LOPSIDED, rank=1, world_size=2)


@pytest.mark.parametrize("strategy", [PairBatches(), TripletBatches(), BalancedBatches(2, 2)])
def test_one_class_is_one_sentence(strategy):
    with pytest.raises(UserError, match="class"):
        strategy.sampler(torch.zeros(9))
    with pytest.raises(UserError):
        strategy.sampler(torch.zeros(0))


def test_triplets_of_lone_samples_are_refused():
    with pytest.raises(UserError, match="a class with at least two samples"):
        TripletBatches().sampler(torch.arange(4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PlainBatches(batch_size=0), "batch_size must be at least 1, got 0"),
        (lambda: PairBatches(batch_size=-1), "batch_size must be at least 1, got -1"),
        (lambda: BalancedBatches(1, 2), "n_classes must be at least 2, got 1"),
        (lambda: BalancedBatches(2, 0), "n_samples must be at least 1, got 0"),
        (lambda: BalancedBatches(2, 2, "drop"), "rare_classes must be .* got 'drop'"),
        (lambda: BalancedBatches(2, 2, "repeat", 0), "batches_per_epoch must be at least 1"),
    ],
)
def test_bad_arguments_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_a_seed_out_of_range_is_named(seed):
    with pytest.raises(ValueError, match=f"seed must be .* got {seed}"):
        PlainBatches().sampler(EVEN, seed=seed)
    assert len(list(BalancedBatches(2, 2).sampler(EVEN, seed=2**63 - 1))) == 15


def test_many_classes_cost_little():
    labels = torch.arange(30_000) % 3_000
    batches = epoch(BalancedBatches(n_classes=32, n_samples=4), labels, number=1_000)
    assert len(batches) == 234
    assert all(len(set(labels[batch].tolist())) == 32 for batch in batches)


@pytest.mark.parametrize("kind", [PlainBatches, PairBatches, TripletBatches])
def test_augmentation_seeds_do_not_depend_on_how_an_epoch_is_cut(kind):
    def places(batch_size: int, world_size: int) -> set[tuple[int, int, int]]:
        return {
            (index, draw.seed, draw.first + i)
            for rank in range(world_size)
            for draw in kind(batch_size).sampler(EVEN, seed=2, rank=rank, world_size=world_size)
            for i, index in enumerate(draw)
        }

    whole = places(60, 1)
    assert len(whole) == 60 * kind.tuple_size
    assert places(7, 1) == places(5, 3) == whole
    assert len({seed for _, seed, _ in whole}) == 1


@pytest.mark.parametrize(("n_classes", "kinds"), [(2, 10), (3, 10)])
def test_any_classes_meet_in_a_batch_equally_often(n_classes, kinds):
    sampler = BalancedBatches(n_classes, 1, batches_per_epoch=9_000 // n_classes).sampler(EVEN)
    met = Counter(tuple(sorted(EVEN[batch].tolist())) for batch in sampler)
    assert len(met) == kinds
    # 450 or 300 expected, standard deviation about 20.
    expected = sum(met.values()) / kinds
    assert all(abs(count - expected) < 0.25 * expected for count in met.values())


def test_any_samples_of_a_class_meet_in_a_batch_equally_often():
    labels = torch.tensor([0] * 5 + [1] * 5)
    sampler = BalancedBatches(2, 2, batches_per_epoch=4_500).sampler(labels)
    met = Counter(tuple(sorted(i for i in batch if i < 5)) for batch in sampler)
    assert len(met) == 10
    assert all(abs(count - 450) < 110 for count in met.values())
