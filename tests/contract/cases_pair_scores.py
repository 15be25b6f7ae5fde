"""The learned score of a pair, and the loss that learns it."""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.distances import EuclideanDistance, WeightedL1Distance
from metric_lightning.losses import ManhattanSimilarityLoss, PairCrossEntropyLoss
from metric_lightning.types import Pairs, References
from tests.contract.case import Case
from tests.contract.oracles import columns, euclidean, mean, total


def score(loss: Any, a: Tensor, b: Tensor) -> Tensor:
    if isinstance(loss.distance, EuclideanDistance):
        return -euclidean(a, b)
    parts = [w * (p - q).abs() for w, p, q in zip(loss.distance.weight, a, b, strict=True)]
    return -(loss.distance.bias + total(parts, a))


def cross_entropy(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    same, different = [], []
    for a in range(len(x)):
        for p in columns(pairs.positive, a):
            same.append(-torch.log(1 / (1 + torch.exp(-score(loss, x[a], references.embeddings[p])))))
        for n in columns(pairs.negative, a):
            different.append(-torch.log(1 / (1 + torch.exp(score(loss, x[a], references.embeddings[n])))))
    if loss.average == "sides":
        return mean(same, x) + mean(different, x)
    return mean(same + different, x)


def manhattan(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    same, different = [], []
    for a in range(len(x)):
        likeness = [torch.exp(-(x[a] - y).abs().sum()) for y in references.embeddings]
        same += [(likeness[p] - 1) ** 2 for p in columns(pairs.positive, a)]
        different += [likeness[n] ** 2 for n in columns(pairs.negative, a)]
    if loss.average == "sides":
        return mean(same, x) + mean(different, x)
    return mean(same + different, x)


class _Bent(WeightedL1Distance):
    """Weights of either sign and a bias, so that nothing is tested at a special point alone."""

    def build(self, embedding_dim: int) -> None:
        super().build(embedding_dim)
        with torch.no_grad():
            self.weight.copy_(torch.tensor([0.8, -0.3, 1.4]))
            self.bias.fill_(-0.6)


CASES = [
    Case("pair_cross_entropy", PairCrossEntropyLoss, cross_entropy),
    Case("pair_cross_entropy-sides", lambda: PairCrossEntropyLoss("sides", _Bent()), cross_entropy),
    Case("pair_cross_entropy-euclidean", lambda: PairCrossEntropyLoss(distance=EuclideanDistance()), cross_entropy),
    Case("manhattan_similarity", ManhattanSimilarityLoss, manhattan),
    Case("manhattan_similarity-sides", lambda: ManhattanSimilarityLoss("sides"), manhattan),
]
