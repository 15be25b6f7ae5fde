"""What a miner brings to its contract test: how to make it, and a slow, obvious oracle of what it may pick."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from metric_lightning.losses import ContrastiveLoss, PairwiseLoss, TripletMarginLoss
from metric_lightning.miners import Miner, PairMiner
from metric_lightning.types import Pairs, TripletBand, Triplets
from tests.contract.oracles import triplets

Pick = tuple[int, ...]
"""(anchor, positive, negative); of a pair miner (anchor, column, 1 for a positive or 0 for a negative)."""


class Choice(NamedTuple):
    """Of `candidates`, the miner picks `number`, each with a chance in proportion to its weight (None: all alike).

    A deterministic pick is a choice of all its candidates.
    """

    candidates: list[Pick]
    number: int
    weights: list[float] | None = None


@dataclass(frozen=True)
class MinerCase:
    """A miner with its oracle.

    Attributes:
        name: id of the tests.
        make: builds the miner.
        oracle: (miner, distances, pairs) -> choices with disjoint candidates; loops that call nothing of the package.
        draws: whether anything is random.
        square: whether the batch must be its own reference set.
        peer: makes pytorch-metric-learning's miner of the same definition.
    """

    name: str
    make: Callable[[], Miner]
    oracle: Callable[[Any, Tensor, Pairs], list[Choice]]
    draws: bool = False
    square: bool = False
    peer: Callable[[], Any] | None = None

    def loss(self) -> PairwiseLoss:
        """Return a loss in float64 that uses the miner."""
        miner = self.make()
        loss: type[Any] = ContrastiveLoss if isinstance(miner, PairMiner) else TripletMarginLoss
        made: PairwiseLoss = loss(margin=0.5, miner=miner).double()
        return made


def picks(result: Pairs | Triplets | TripletBand, distances: Tensor) -> list[Pick]:
    """Return what a miner picked as sorted tuples of numbers."""
    if isinstance(result, TripletBand):
        table = distances.tolist()
        gaps = {(a, p, n): table[a][n] - table[a][p] for a, p, n in triplets(result.pairs)}
        return sorted(triplet for triplet, gap in gaps.items() if result.above < gap <= result.below)
    if isinstance(result, Triplets):
        return sorted(zip(*(index.tolist() for index in result), strict=True))
    positive = [(*place, 1) for place in result.positive.nonzero().tolist()]
    return sorted(positive + [(*place, 0) for place in result.negative.nonzero().tolist()])


def all_of(candidates: list[Pick]) -> list[Choice]:
    """Return the choice of a miner that draws nothing."""
    return [Choice(candidates, len(candidates))]


def masks(positive: list[list[int]], negative: list[list[int]]) -> Pairs:
    """Return pairs from rows of 0 and 1."""
    return Pairs(torch.tensor(positive, dtype=torch.bool), torch.tensor(negative, dtype=torch.bool))
