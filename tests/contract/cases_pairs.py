"""Losses on pairs of embeddings: those of softmax, log-sum-exp and hinge type."""

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor

from metric_lightning.losses import (
    CircleLoss,
    GeneralizedLiftedStructureLoss,
    InfoNCELoss,
    LiftedStructureLoss,
    MultiSimilarityLoss,
    NCALoss,
    NPairsLoss,
    SupervisedContrastiveLoss,
    TupletMarginLoss,
)
from metric_lightning.miners import AllPairs, MultiSimilarity
from metric_lightning.types import Pairs, References
from tests.contract.case import Case
from tests.contract.oracles import (
    columns,
    cosine,
    distance_table,
    mean,
    squared_euclidean,
    total,
)


def cosine_table(x: Tensor, references: References) -> list[list[Tensor]]:
    """Cosines, table[i][j]."""
    return [[cosine(a, b) for b in references.embeddings] for a in x]


def positive_part(value: Tensor) -> Tensor:
    return value if value > 0 else 0 * value


def tuplets(table: list[list[Tensor]], pairs: Pairs, scale: float, reduced: Callable) -> list[list[Tensor]]:
    """log(1 + sum_n exp(scale (s_an - f(s_ap)))) of each positive pair, a list for each anchor with a negative."""
    costs = []
    for a in range(len(table)):
        negative = columns(pairs.negative, a)
        if negative:
            costs.append([])
            for p in columns(pairs.positive, a):
                terms = [(scale * (table[a][n] - reduced(table[a][p]))).exp() for n in negative]
                costs[-1].append((1 + total(terms, terms[0])).log())
    return costs


def averaged(costs: list[list[Tensor]], average: str, x: Tensor) -> Tensor:
    if average == "pairs":
        return mean([cost for row in costs for cost in row], x)
    return mean([mean(row, x) for row in costs if row], x)


def info_nce(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    costs = tuplets(cosine_table(x, references), pairs, 1 / loss.temperature, lambda s: s)
    return averaged(costs, loss.average, x)


def tuplet_margin(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    def reduced(c: Tensor) -> Tensor:
        angle = math.pi / 180 * loss.margin
        if 1 - c**2 < 1e-13:  # within rounding of an angle of 0 or 180 degrees, where arccos has no slope
            return c * math.cos(angle)
        return (c.acos() - angle).cos()

    return averaged(tuplets(cosine_table(x, references), pairs, loss.scale, reduced), loss.average, x)


def n_pairs(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    costs = tuplets([[a @ b for b in references.embeddings] for a in x], pairs, 1.0, lambda s: s)
    counted = [a for a in range(len(x)) if columns(pairs.negative, a) and columns(pairs.positive, a)]
    norms = [loss.norm_weight * x[a].square().sum() for a in counted]
    return averaged(costs, "pairs", x) + mean(norms, x)


def n_pairs_of_classes(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    """The first sample of each class against the next of each class, chosen by plain search."""
    numbers, others = labels.tolist(), references.labels.tolist()
    anchors = [i for i, c in enumerate(numbers) if c not in numbers[:i]]
    taken = [] if references.own is None else [int(references.own[i]) for i in anchors]
    free = [j for j in range(len(others)) if j not in taken]
    chosen = [j for place, j in enumerate(free) if others[j] not in [others[k] for k in free[:place]]]
    few = References(references.embeddings[chosen], references.labels[chosen])
    kept = Pairs(pairs.positive[anchors][:, chosen], pairs.negative[anchors][:, chosen])
    return n_pairs(loss, x[anchors], labels[anchors], few, kept)


def supervised_contrastive(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = cosine_table(x, references), []
    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive:
            everything = total([(table[a][j] / loss.temperature).exp() for j in positive + negative], x)
            shares = [(table[a][p] / loss.temperature).exp() / everything for p in positive]
            inside = loss.logarithm == "mean"
            costs.append(-mean(shares, x).log() if inside else -mean([share.log() for share in shares], x))
    return mean(costs, x)


def nca(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    costs = []
    for a in range(len(x)):
        near = {
            j: (-loss.scale * squared_euclidean(x[a], references.embeddings[j])).exp()
            for j in columns(pairs.positive | pairs.negative, a)
        }
        positive = columns(pairs.positive, a)
        if positive:
            chance = total([near[p] for p in positive], x) / total(list(near.values()), x)
            costs.append(-chance.log() if loss.objective == "log" else 1 - chance)
    return mean(costs, x)


def multi_similarity(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = cosine_table(x, references), []
    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            if loss.miner is not None:  # an anchor that is left without pairs counts, and costs 0
                farthest, closest = min(table[a][p] for p in positive), max(table[a][n] for n in negative)
                positive = [p for p in positive if table[a][p] < closest + loss.miner.epsilon]
                negative = [n for n in negative if table[a][n] > farthest - loss.miner.epsilon]
            pull = total([(-loss.positive_scale * (table[a][p] - loss.threshold)).exp() for p in positive], x)
            push = total([(loss.negative_scale * (table[a][n] - loss.threshold)).exp() for n in negative], x)
            costs.append((1 + pull).log() / loss.positive_scale + (1 + push).log() / loss.negative_scale)
    return mean(costs, x)


def circle(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = cosine_table(x, references), []
    m, scale = loss.margin, loss.scale
    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            pull, push = [], []
            for s in (table[a][p] for p in positive):
                pull.append((-scale * max(0.0, 1 + m - s.item()) * (s - (1 - m))).exp())
            for s in (table[a][n] for n in negative):
                push.append((scale * max(0.0, s.item() + m) * (s - m)).exp())
            costs.append((1 + total(pull, x) * total(push, x)).log())
    return mean(costs, x)


def generalized_lifted(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = distance_table(x, references), []
    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            farthest = total([table[a][p].exp() for p in positive], x).log()
            closest = total([(loss.margin - table[a][n]).exp() for n in negative], x).log()
            costs.append(positive_part(farthest + closest))
    return mean(costs, x)


def lifted(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = distance_table(x, references), []
    for i in range(len(x)):
        for j in columns(pairs.positive, i):
            ends = [table[i][k] for k in columns(pairs.negative, i)]
            ends += [table[k][j] for k in range(len(x)) if pairs.negative[k, j]]
            if ends:
                closest = total([(loss.margin - d).exp() for d in ends], x).log()
                costs.append(0.5 * positive_part(table[i][j] + closest) ** 2)
    return mean(costs, x)


def peer(
    name: str, distance: str | None = None, power: int = 1, reducer: str | None = None, **arguments: Any
) -> Callable[[], Callable[[Tensor, Tensor], Tensor]]:
    """Make a loss of pytorch-metric-learning, with a distance by name on embeddings that it leaves as they are."""

    def make() -> Any:
        from pytorch_metric_learning import distances, losses, reducers

        objects: dict[str, Any] = {}
        if distance is not None:
            objects["distance"] = getattr(distances, distance)(normalize_embeddings=False, power=power)
        if reducer is not None:
            objects["reducer"] = getattr(reducers, reducer)()
        return getattr(losses, name)(**objects, **arguments)

    return make


def multi_similarity_peer() -> Any:
    from pytorch_metric_learning import losses, miners

    loss, miner = losses.MultiSimilarityLoss(), miners.MultiSimilarityMiner(epsilon=0.02)
    return lambda x, labels: loss(x, labels, miner(x, labels))


DETACHED = {"gradcheck": "the paper's weights are constants to the gradient; the oracle has them so"}
FIRST = {"permutation": "takes the first two samples of a class: another order means other samples"}

CASES = [
    Case("info-nce", lambda: InfoNCELoss(0.2), info_nce, peer=peer("NTXentLoss", temperature=0.2)),
    Case("info-nce-default", InfoNCELoss, info_nce),
    Case("info-nce-anchors", lambda: InfoNCELoss(0.5, average="anchors"), info_nce),
    Case("info-nce-miner", lambda: InfoNCELoss(0.5, miner=AllPairs()), info_nce),
    Case("n-pairs", NPairsLoss, n_pairs),
    Case("n-pairs-norms", lambda: NPairsLoss(norm_weight=0.1), n_pairs),
    Case(
        "n-pairs-of-classes",
        lambda: NPairsLoss(norm_weight=0.1, one_pair_per_class=True),
        n_pairs_of_classes,
        exempt=FIRST,
    ),
    Case(
        "n-pairs-of-classes-without-norms",
        lambda: NPairsLoss(one_pair_per_class=True),
        n_pairs_of_classes,
        exempt=FIRST,
        peer=peer("NPairsLoss", "DotProductSimilarity"),
    ),
    Case("tuplet-margin", lambda: TupletMarginLoss(scale=8.0), tuplet_margin, peer=peer("TupletMarginLoss", scale=8.0)),
    Case("tuplet-margin-default", TupletMarginLoss, tuplet_margin),
    Case("tuplet-margin-anchors", lambda: TupletMarginLoss(20.0, 4.0, average="anchors"), tuplet_margin),
    Case("supervised-contrastive", SupervisedContrastiveLoss, supervised_contrastive, peer=peer("SupConLoss")),
    Case(
        "supervised-contrastive-mean",
        lambda: SupervisedContrastiveLoss(0.5, logarithm="mean"),
        supervised_contrastive,
    ),
    Case("nca", NCALoss, nca, peer=peer("NCALoss", "LpDistance", power=2)),
    Case("nca-probability", lambda: NCALoss(0.5, objective="probability"), nca),
    Case("multi-similarity", MultiSimilarityLoss, multi_similarity, peer=peer("MultiSimilarityLoss")),
    Case(
        "multi-similarity-miner",
        lambda: MultiSimilarityLoss(miner=MultiSimilarity(0.02)),
        multi_similarity,
        peer=multi_similarity_peer,
    ),
    Case("multi-similarity-threshold", lambda: MultiSimilarityLoss(3.0, 10.0, 1.0), multi_similarity),
    Case("circle", CircleLoss, circle, exempt=DETACHED, peer=peer("CircleLoss")),
    Case("circle-gentle", lambda: CircleLoss(margin=0.25, scale=4.0), circle, exempt=DETACHED),
    Case(
        "generalized-lifted",
        GeneralizedLiftedStructureLoss,
        generalized_lifted,
        peer=peer("GeneralizedLiftedStructureLoss", "LpDistance"),
    ),
    Case("generalized-lifted-margin", lambda: GeneralizedLiftedStructureLoss(margin=0.0), generalized_lifted),
    Case("lifted", LiftedStructureLoss, lifted, peer=peer("LiftedStructureLoss", "LpDistance")),
    Case("lifted-margin", lambda: LiftedStructureLoss(margin=0.2), lifted),
]
