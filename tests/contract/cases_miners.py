"""The miners of the reference set."""

from typing import Any

from torch import Tensor

from metric_lightning.miners import (
    AllPairs,
    BatchHard,
    HardestNegative,
    HardNegativePairs,
    RandomHardNegative,
    RandomNegativePairs,
    SemiHardNegative,
)
from metric_lightning.types import Pairs
from tests.contract.miner_case import Choice, MinerCase, all_of
from tests.contract.oracles import columns


def all_pairs(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    rows = range(len(distances))
    positive = [(a, p, 1) for a in rows for p in columns(pairs.positive, a)]
    return all_of(positive + [(a, n, 0) for a in rows for n in columns(pairs.negative, a)])


def random_negative_pairs(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    choices = []
    for a in range(len(distances)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        choices += all_of([(a, p, 1) for p in positive])
        choices.append(Choice([(a, n, 0) for n in negative], min(len(positive), len(negative))))
    return choices


def hard_negative_pairs(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    rows = range(len(distances))
    positive = [(a, p, 1) for a in rows for p in columns(pairs.positive, a)]
    negative = [(a, n, 0) for a in rows for n in columns(pairs.negative, a)]
    negative.sort(key=lambda pick: (float(distances[pick[0], pick[1]]), pick))
    return all_of(positive + negative[: len(positive)])


def batch_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a in range(len(distances)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            farthest = max(positive, key=lambda j: (float(distances[a, j]), -j))
            closest = min(negative, key=lambda j: (float(distances[a, j]), j))
            chosen.append((a, farthest, closest))
    return all_of(chosen)


def hardest_negative(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    chosen = []
    for a in range(len(distances)):
        negative = columns(pairs.negative, a)
        if negative:
            closest = min(negative, key=lambda j: (float(distances[a, j]), j))
            for p in columns(pairs.positive, a):
                if distances[a, p] - distances[a, closest] + (miner.margin or 0) > 0:
                    chosen.append((a, p, closest))
    return all_of(chosen)


def one_each(distances: Tensor, pairs: Pairs, fits: Any) -> list[Choice]:
    """One random negative for each positive pair, of those that fit (d_ap, d_an)."""
    choices = []
    for a in range(len(distances)):
        for p in columns(pairs.positive, a):
            fitting = [n for n in columns(pairs.negative, a) if fits(distances[a, p], distances[a, n])]
            choices.append(Choice([(a, p, n) for n in fitting], min(1, len(fitting))))
    return choices


def random_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    return one_each(distances, pairs, lambda p, n: n < p + (miner.margin or 0))


def semi_hard(miner: Any, distances: Tensor, pairs: Pairs) -> list[Choice]:
    return one_each(distances, pairs, lambda p, n: p < n < p + miner.margin)


MINER_CASES = [
    MinerCase("all-pairs", AllPairs, all_pairs),
    MinerCase("random-negative-pairs", RandomNegativePairs, random_negative_pairs, draws=True),
    MinerCase("hard-negative-pairs", HardNegativePairs, hard_negative_pairs),
    MinerCase("batch-hard", BatchHard, batch_hard),
    MinerCase("hardest-negative", HardestNegative, hardest_negative),
    MinerCase("hardest-negative-margin", lambda: HardestNegative(margin=0.3), hardest_negative),
    MinerCase("random-hard", lambda: RandomHardNegative(margin=0.3), random_hard, draws=True),
    MinerCase("random-hard-without-margin", RandomHardNegative, random_hard, draws=True),
    MinerCase("semi-hard", lambda: SemiHardNegative(margin=0.4), semi_hard, draws=True),
]
