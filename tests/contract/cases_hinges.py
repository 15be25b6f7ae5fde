"""Losses on pairs with bounds: margin, angular, signal-to-noise, ranked list, sigmoid, variance, thresholds."""

import math
from typing import Any

from torch import Tensor

from metric_lightning.losses import (
    AngularLoss,
    IntraPairVarianceLoss,
    MarginLoss,
    RankedListLoss,
    SigmoidPairwiseLoss,
    SignalToNoiseContrastiveLoss,
    ThresholdConsistentMarginLoss,
)
from metric_lightning.miners import BatchHard, TripletMargin
from metric_lightning.types import Pairs, References
from tests.contract.case import Case
from tests.contract.cases_pairs import averaged, cosine_table, peer, positive_part
from tests.contract.oracles import columns, distance_table, mean, total, triplets


def margin(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    chosen = [(a, p, True) for a in range(len(x)) for p in columns(pairs.positive, a)]
    chosen += [(a, n, False) for a in range(len(x)) for n in columns(pairs.negative, a)]
    return margin_of(loss, x, labels, references, chosen)


def margin_batch_hard(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, chosen = distance_table(x, references), []
    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            chosen.append((a, max(positive, key=lambda j: (table[a][j].item(), -j)), True))
            chosen.append((a, min(negative, key=lambda j: (table[a][j].item(), j)), False))
    return margin_of(loss, x, labels, references, chosen)


def margin_semi_hard(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    """Each pair as often as it is in a triplet with 0 < d_an - d_ap <= 0.4."""
    chosen = []
    for a, row in enumerate(distance_table(x, references)):
        for p in columns(pairs.positive, a):
            for n in columns(pairs.negative, a):
                if 0 < row[n] - row[p] <= 0.4:
                    chosen += [(a, p, True), (a, n, False)]
    return margin_of(loss, x, labels, references, chosen)


def margin_of_triplets(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    """Each pair as often as it is in a triplet, of all that there are."""
    chosen = []
    for a, p, n in triplets(pairs):
        chosen += [(a, p, True), (a, n, False)]
    return margin_of(loss, x, labels, references, chosen)


def margin_of(
    loss: Any, x: Tensor, labels: Tensor, references: References, chosen: list[tuple[int, int, bool]]
) -> Tensor:
    table = distance_table(x, references)
    costs = []
    boundaries = [loss.boundary[int(c)] if loss.boundary_per_class else loss.boundary for c in labels]
    for a, j, near in chosen:
        gap = table[a][j] - boundaries[a]
        costs.append(positive_part((gap if near else -gap) + loss.margin))
    if loss.average == "active":
        costs = [cost for cost in costs if cost > 0]
    used = sorted({a for a, _, _ in chosen})
    return mean(costs, x) + mean([loss.boundary_weight * boundaries[a] for a in used], x)


def angular(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    t = math.tan(math.pi / 180 * loss.angle) ** 2
    table, costs = cosine_table(x, references), []
    between = cosine_table(references.embeddings, references)
    for a in range(len(x)):
        negative = columns(pairs.negative, a)
        if negative:
            costs.append([])
            for p in columns(pairs.positive, a):
                bent = [4 * t * (table[a][n] + between[p][n]) - 2 * (1 + t) * table[a][p] for n in negative]
                costs[-1].append((1 + total([f.exp() for f in bent], x)).log())
    return averaged(costs, loss.average, x)


def signal_to_noise(x: Tensor, y: Tensor) -> Tensor:
    """The variance of x - y over that of x; 0 where x has none."""
    variance = (x - x.mean()).square().mean()
    if variance == 0:
        return x.new_zeros(())
    noise = y - x
    return (noise - noise.mean()).square().mean() / variance


def signal_to_noise_contrastive(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    positive, negative, means = [], [], []
    for a in range(len(x)):
        row = [signal_to_noise(x[a], y) for y in references.embeddings]
        positive += [positive_part(row[p] - loss.positive_margin) for p in columns(pairs.positive, a)]
        negative += [positive_part(loss.margin - row[n]) for n in columns(pairs.negative, a)]
        if columns(pairs.positive | pairs.negative, a):
            means.append(loss.mean_weight * x[a].sum().abs())
    if loss.average == "pairs":
        return mean(positive + negative, x) + mean(means, x)
    if loss.average == "active":
        positive, negative = [c for c in positive if c > 0], [c for c in negative if c > 0]
    return mean(positive, x) + mean(negative, x) + mean(means, x)


def ranked_list(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, costs = distance_table(x, references), []

    def side(excess: list[Tensor], temperature: float) -> Tensor:
        violations = [e for e in excess if e > 0]
        weights = [(temperature * e).exp() for e in violations]
        if loss.constant_weights:
            weights = [weight.detach() for weight in weights]
        sums = [weight * e for weight, e in zip(weights, violations, strict=True)]
        return total(sums, x) / total(weights, x) if weights else x.new_zeros(())

    for a in range(len(x)):
        positive, negative = columns(pairs.positive, a), columns(pairs.negative, a)
        if positive and negative:
            far = [table[a][p] - loss.boundary + loss.margin for p in positive]
            near = [loss.boundary - table[a][n] for n in negative]
            pull, push = side(far, loss.positive_temperature), side(near, loss.negative_temperature)
            costs.append((1 - loss.balance) * pull + loss.balance * push)
    return mean(costs, x)


def sigmoid(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table, rows = cosine_table(x, references), []
    for a in range(len(x)):
        scores = [loss.log_scale.exp() * s + loss.bias for s in table[a]]
        row = [(1 + (-scores[p]).exp()).log() for p in columns(pairs.positive, a)]
        row += [(1 + scores[n].exp()).log() for n in columns(pairs.negative, a)]
        if row:
            rows.append(row)
    if loss.average == "pairs":
        return mean([cost for row in rows for cost in row], x)
    return mean([total(row, x) for row in rows], x)


def intra_pair_variance(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = cosine_table(x, references)
    positive = [table[a][p] for a in range(len(x)) for p in columns(pairs.positive, a)]
    negative = [table[a][n] for a in range(len(x)) for n in columns(pairs.negative, a)]
    low = (1 - loss.positive_tolerance) * mean(positive, x)
    high = (1 + loss.negative_tolerance) * mean(negative, x)
    pulls = [positive_part(low - s) ** 2 for s in positive]
    return mean(pulls, x) + mean([positive_part(s - high) ** 2 for s in negative], x)


def thresholds(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    table = cosine_table(x, references)
    far = [loss.positive_margin - table[a][p] for a in range(len(x)) for p in columns(pairs.positive, a)]
    near = [table[a][n] - loss.negative_margin for a in range(len(x)) for n in columns(pairs.negative, a)]
    pull, push = mean([e for e in far if e > 0], x), mean([e for e in near if e > 0], x)
    return loss.positive_weight * pull + loss.negative_weight * push


def on_unit_rows(make: Any) -> Any:
    """A peer that scales only some of its embeddings to length 1: give it unit rows."""
    return lambda: lambda x, labels: make()(x / x.norm(dim=1, keepdim=True), labels)


WEIGHTS = {"gradcheck": "the paper's weights are constants to the gradient; the oracle has them so"}

CASES = [
    Case("margin", MarginLoss, margin),
    Case("margin-pairs", lambda: MarginLoss(0.5, 0.8, average="pairs", boundary_weight=0.3), margin),
    Case("margin-fixed", lambda: MarginLoss(0.5, learn_boundary=False), margin),
    Case("margin-per-class", lambda: MarginLoss(boundary_per_class=True, boundary_weight=0.1), margin),
    Case("margin-batch-hard", lambda: MarginLoss(0.5, miner=BatchHard()), margin_batch_hard),
    Case(
        "margin-all-triplets",
        lambda: MarginLoss(0.2, 2.5, miner=TripletMargin("all", 1e9)),
        margin_of_triplets,
        peer=peer("MarginLoss", "LpDistance", margin=0.2, nu=0, beta=2.5, triplets_per_anchor="all"),
    ),
    Case("margin-band", lambda: MarginLoss(0.4, miner=TripletMargin("semi-hard")), margin_semi_hard),
    Case(
        "margin-band-pairs",
        lambda: MarginLoss(0.4, boundary_weight=0.3, average="pairs", miner=TripletMargin("semi-hard")),
        margin_semi_hard,
    ),
    Case("angular", AngularLoss, angular, peer=on_unit_rows(peer("AngularLoss", alpha=45))),
    Case("angular-anchors", lambda: AngularLoss(20.0, average="anchors"), angular),
    Case("signal-to-noise", lambda: SignalToNoiseContrastiveLoss(1.3), signal_to_noise_contrastive),
    Case(
        "signal-to-noise-active",
        lambda: SignalToNoiseContrastiveLoss(2.0, 0.2, average="active"),
        signal_to_noise_contrastive,
        peer=peer("SignalToNoiseRatioContrastiveLoss", "SNRDistance", pos_margin=0.2, neg_margin=2.0),
    ),
    Case(
        "signal-to-noise-pairs",
        lambda: SignalToNoiseContrastiveLoss(2.0, average="pairs", mean_weight=0.1),
        signal_to_noise_contrastive,
    ),
    Case("ranked-list", RankedListLoss, ranked_list, exempt=WEIGHTS),
    Case(
        "ranked-list-differentiated",
        lambda: RankedListLoss(0.6, 1.5, 2.0, 3.0, balance=0.3, constant_weights=False),
        ranked_list,
    ),
    Case("sigmoid", SigmoidPairwiseLoss, sigmoid),
    Case("sigmoid-pairs", lambda: SigmoidPairwiseLoss(3.0, 0.5, average="pairs"), sigmoid),
    Case("sigmoid-fixed", lambda: SigmoidPairwiseLoss(3.0, -1.0, learn=False), sigmoid),
    Case("variance", IntraPairVarianceLoss, intra_pair_variance, peer=peer("IntraPairVarianceLoss")),
    Case("variance-tolerances", lambda: IntraPairVarianceLoss(0.3, 0.2), intra_pair_variance),
    Case(
        "thresholds",
        ThresholdConsistentMarginLoss,
        thresholds,
        peer=peer("ThresholdConsistentMarginLoss"),
    ),
    Case("thresholds-weights", lambda: ThresholdConsistentMarginLoss(0.5, 0.1, 2.0, 0.5), thresholds),
]
