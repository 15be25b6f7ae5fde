"""Losses on ranked lists and on distributions: FastAP, Smooth-AP, histogram."""

from typing import Any

from torch import Tensor

from metric_lightning.losses import FastAPLoss, HistogramLoss, SmoothAPLoss
from metric_lightning.types import Pairs, References
from tests.contract.case import Case
from tests.contract.cases_pairs import cosine_table, peer
from tests.contract.oracles import columns, mean, total


def shares(position: Tensor, bins: int) -> list[Tensor]:
    """What a position in bins counts at each node: 1 - its distance to the node, where that is positive."""
    found = [1 - (position - node).abs() for node in range(bins + 1)]
    return [share if share > 0 else 0 * position for share in found]


def fast_ap(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = cosine_table(x, references), []
    nodes = range(loss.bins + 1)
    for a in range(len(x)):
        positive, everything = columns(pairs.positive, a), columns(pairs.positive | pairs.negative, a)
        if positive:
            each = {j: shares((1 - table[a][j]) * loss.bins / loss.largest_distance, loss.bins) for j in everything}
            h_positive = [total([each[j][k] for j in positive], x) for k in nodes]
            h_all = [total([each[j][k] for j in everything], x) for k in nodes]
            terms = [
                h_positive[k] * total(h_positive[: k + 1], x) / total(h_all[: k + 1], x)
                for k in nodes
                if h_positive[k] > 0
            ]
            costs.append(1 - total(terms, x) / len(positive))
    return mean(costs, x)


def smooth_ap(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = cosine_table(x, references), []

    def rank(p: Tensor, others: list[Tensor]) -> Tensor:
        return 1 + total([1 / (1 + ((p - s) / loss.temperature).exp()) for s in others if s is not p], x)

    for a in range(len(x)):
        positive = [table[a][j] for j in columns(pairs.positive, a)]
        everything = positive + [table[a][j] for j in columns(pairs.negative, a)]
        if positive:
            if loss.count_anchor:
                itself = x.new_ones(())
                positive, everything = [itself, *positive], [itself, *everything]
            costs.append(1 - mean([rank(p, positive) / rank(p, everything) for p in positive], x))
    return mean(costs, x)


def histogram(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = cosine_table(x, references)

    def distribution(mask: Tensor) -> list[Tensor]:
        found = [table[a][j] for a in range(len(x)) for j in columns(mask, a)]
        each = [shares((s.clamp(-1, 1) + 1) * loss.bins / 2, loss.bins) for s in found]
        return [mean([row[k] for row in each], x) for k in range(loss.bins + 1)]

    positive, negative = distribution(pairs.positive), distribution(pairs.negative)
    return total([negative[k] * total(positive[: k + 1], x) for k in range(loss.bins + 1)], x)


CASES = [
    Case("fast-ap", FastAPLoss, fast_ap, peer=peer("FastAPLoss")),
    Case("fast-ap-bins", lambda: FastAPLoss(bins=7, largest_distance=1.5), fast_ap),
    Case("smooth-ap", lambda: SmoothAPLoss(0.1), smooth_ap),
    Case("smooth-ap-default", SmoothAPLoss, smooth_ap),
    Case("smooth-ap-anchor", lambda: SmoothAPLoss(0.2, count_anchor=True), smooth_ap),
    Case("histogram", HistogramLoss, histogram, peer=peer("HistogramLoss")),
    Case("histogram-bins", lambda: HistogramLoss(bins=9), histogram),
]
