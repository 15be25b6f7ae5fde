"""Contrastive, triplet and softmax losses."""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.distances import CosineDistance, SquaredEuclideanDistance
from metric_lightning.losses import ContrastiveLoss, SoftmaxLoss, TripletMarginLoss, TripletSoftMarginLoss
from metric_lightning.miners import AllPairs, BatchHard, HardestNegative, HardNegativePairs, TripletMargin
from metric_lightning.relevance import MultiLabel
from metric_lightning.types import Pairs, References
from tests.contract.case import Case
from tests.contract.cases_pairs import peer
from tests.contract.oracles import columns, cosine, distance_table, mean, squared_euclidean, triplets


def contrastive(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = distance_table(x, references)
    positive, negative = [], []

    def cost(gap: Tensor) -> Tensor:
        if gap <= 0:
            return 0 * gap
        return 0.5 * gap**2 if loss.power == 2 else gap

    for i in range(len(x)):
        positive += [cost(table[i][j] - loss.positive_margin) for j in columns(pairs.positive, i)]
        negative += [cost(loss.margin - table[i][j]) for j in columns(pairs.negative, i)]
    if loss.average == "pairs":
        return mean(positive + negative, x)
    if loss.average == "active":
        positive, negative = [c for c in positive if c > 0], [c for c in negative if c > 0]
    return mean(positive, x) + mean(negative, x)


def contrastive_hard(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    """As many negatives as positives, the closest of the batch; equal ones by row, then column."""
    number = int(pairs.positive.sum())
    candidates = [(i, j) for i in range(len(x)) for j in columns(pairs.negative, i)]
    table = distance_table(x, references)
    candidates.sort(key=lambda place: (table[place[0]][place[1]].item(), place))
    negative = torch.zeros_like(pairs.negative)
    for i, j in candidates[:number]:
        negative[i, j] = True
    return contrastive(loss, x, labels, references, Pairs(pairs.positive, negative))


def triplet_margin(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    return hinge(loss, x, distance_table(x, references), triplets(pairs))


def triplet_squared(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = [[squared_euclidean(a, b) for b in references.embeddings] for a in x]
    return hinge(loss, x, table, triplets(pairs))


def triplet_cosine(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = [[1 - cosine(a, b) for b in references.embeddings] for a in x]
    return hinge(loss, x, table, triplets(pairs))


def hinge(loss: Any, x: Tensor, table: list[list[Tensor]], chosen: list[tuple[int, int, int]]) -> Tensor:
    costs = []
    for a, p, n in chosen:
        cost = table[a][p] - table[a][n] + loss.margin
        if cost > 0:
            costs.append(cost)
        elif loss.average == "all":
            costs.append(0 * cost)
    return mean(costs, x)


def triplet_batch_hard(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = distance_table(x, references)
    chosen = []
    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            farthest = max(positive, key=lambda j: (table[a][j].item(), -j))
            closest = min(negative, key=lambda j: (table[a][j].item(), j))
            chosen.append((a, farthest, closest))
    return hinge(loss, x, table, chosen)


def triplet_hardest(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = distance_table(x, references)
    chosen = []
    for a in range(len(x)):
        negative = columns(pairs.negative, a)
        if negative:
            closest = min(negative, key=lambda j: (table[a][j].item(), j))
            kept = [p for p in columns(pairs.positive, a) if table[a][p] - table[a][closest] + loss.margin > 0]
            chosen += [(a, p, closest) for p in kept]
    return hinge(loss, x, table, chosen)


def triplet_band(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = distance_table(x, references)
    chosen = []
    for a, p, n in triplets(pairs):
        gap, margin = table[a][n].item() - table[a][p].item(), loss.miner.margin or loss.margin
        kind = "hard" if gap <= 0 else "semi-hard" if gap <= margin else "easy"
        if loss.miner.kind == kind or (loss.miner.kind == "all" and kind != "easy"):
            chosen.append((a, p, n))
    if isinstance(loss, TripletSoftMarginLoss):
        return mean([soft(loss, table[a][p] - table[a][n]) for a, p, n in chosen], x)
    return hinge(loss, x, table, chosen)


def triplet_soft(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = distance_table(x, references)
    return mean([soft(loss, table[a][p] - table[a][n]) for a, p, n in triplets(pairs)], x)


def soft(loss: Any, difference: Tensor) -> Tensor:
    return (1 + (difference + loss.margin).exp()).log()


def softmax(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    costs = []
    for i in range(len(x)):
        scores = [weight @ x[i] for weight in loss.weight]
        if loss.bias is not None:
            scores = [score + bias for score, bias in zip(scores, loss.bias, strict=True)]
        costs.append(torch.stack(scores).exp().sum().log() - scores[int(labels[i])])
    return mean(costs, x)


def multi_hot(classes: Tensor) -> Tensor:
    """Class c has the labels c and c + 1, so that neighbours share one."""
    table = torch.zeros(len(classes), 9, dtype=torch.int64)
    for row, c in enumerate(classes.tolist()):
        table[row, [c, c + 1]] = 1
    return table


def share_two(labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
    """Positive: two labels in common; negative: none."""
    positive = torch.zeros(len(labels), len(reference_labels), dtype=torch.bool)
    negative = torch.zeros_like(positive)
    for i in range(len(labels)):
        for j in range(len(reference_labels)):
            if own is None or int(own[i]) != j:
                common = int((labels[i] * reference_labels[j]).sum())
                positive[i, j], negative[i, j] = common >= 2, common == 0
    return Pairs(positive, negative)


CASES = [
    Case("contrastive", ContrastiveLoss, contrastive),
    Case("contrastive-margin", lambda: ContrastiveLoss(margin=2.5), contrastive),
    Case("contrastive-sides", lambda: ContrastiveLoss(margin=2.0, average="sides"), contrastive),
    Case(
        "contrastive-linear",
        lambda: ContrastiveLoss(margin=2.0, average="active", positive_margin=0.6, power=1),
        contrastive,
        peer=peer("ContrastiveLoss", "LpDistance", pos_margin=0.6, neg_margin=2.0),
    ),
    Case("contrastive-linear-pairs", lambda: ContrastiveLoss(margin=2.0, power=1), contrastive),
    Case("contrastive-active", lambda: ContrastiveLoss(2.0, "active", 0.6), contrastive),
    Case("contrastive-all-pairs", lambda: ContrastiveLoss(miner=AllPairs()), contrastive),
    Case(
        "contrastive-hard-negatives",
        lambda: ContrastiveLoss(margin=3.0, miner=HardNegativePairs()),
        contrastive_hard,
    ),
    Case(
        "contrastive-multi-label",
        lambda: ContrastiveLoss(margin=2.0, relevance=MultiLabel(share=2)),
        contrastive,
        labels=multi_hot,
        pairs=share_two,
    ),
    Case(
        "triplet",
        TripletMarginLoss,
        triplet_margin,
        peer=peer("TripletMarginLoss", "LpDistance", reducer="MeanReducer", margin=1.0),
    ),
    Case(
        "triplet-active",
        lambda: TripletMarginLoss(0.7, average="active"),
        triplet_margin,
        peer=peer("TripletMarginLoss", "LpDistance", margin=0.7),
    ),
    Case(
        "triplet-squared",
        lambda: TripletMarginLoss(0.7, distance=SquaredEuclideanDistance()),
        triplet_squared,
        peer=peer("TripletMarginLoss", "LpDistance", reducer="MeanReducer", power=2, margin=0.7),
    ),
    Case("triplet-cosine", lambda: TripletMarginLoss(0.2, distance=CosineDistance()), triplet_cosine),
    Case("triplet-batch-hard", lambda: TripletMarginLoss(0.7, miner=BatchHard()), triplet_batch_hard),
    Case("triplet-hardest", lambda: TripletMarginLoss(0.7, miner=HardestNegative()), triplet_hardest),
    *(
        Case(
            name,
            lambda margin=margin: TripletSoftMarginLoss(margin),
            triplet_soft,
            peer=peer("TripletMarginLoss", "LpDistance", margin=margin, smooth_loss=True),
        )
        for name, margin in (("triplet-soft", 0.0), ("triplet-soft-with-margin", 0.4))
    ),
    *(
        Case(
            f"triplet-margin-{kind}", lambda kind=kind: TripletMarginLoss(1.3, miner=TripletMargin(kind)), triplet_band
        )
        for kind in ("all", "hard", "semi-hard")
    ),
    Case(
        "triplet-margin-easy-active",
        lambda: TripletMarginLoss(1.3, average="active", miner=TripletMargin("easy", margin=0.4)),
        triplet_band,
    ),
    Case(
        "triplet-soft-easy",
        lambda: TripletSoftMarginLoss(0.3, miner=TripletMargin("easy", margin=0.4)),
        triplet_band,
    ),
    Case("softmax", SoftmaxLoss, softmax, pairwise=False),
    Case("softmax-without-bias", lambda: SoftmaxLoss(bias=False), softmax, pairwise=False),
]
