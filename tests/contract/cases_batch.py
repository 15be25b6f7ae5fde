"""Losses of the whole batch, losses around other losses, and those of another package."""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.losses import (
    BatchInstanceLoss,
    ContrastiveLoss,
    CrossBatchMemory,
    DynamicSoftMarginLoss,
    ProxyAnchorLoss,
    PytorchMetricLearningLoss,
    SoftmaxLoss,
    TripletMarginLoss,
    VICRegLoss,
    WeightedSum,
)
from metric_lightning.miners import BatchHard
from metric_lightning.types import Pairs, References
from tests.contract.case import Case, random_rows
from tests.contract.cases_classes import proxy_anchor
from tests.contract.cases_reference import contrastive, softmax, triplet_batch_hard, triplet_margin
from tests.contract.oracles import columns, cosine, distance_table, euclidean, mean, same_label_pairs, total


def batch_instance(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    costs = []
    for i in range(len(x)):
        others = columns(pairs.positive | pairs.negative, i)
        if others:
            shares = [(loss.scale * (cosine(x[i], references.embeddings[j]) - 1)).exp() for j in others]
            costs.append((1 + total(shares, x)).log())
    return mean(costs, x)


def vicreg(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    y = references.embeddings
    squared = [(x[i] - y[j]).square().mean() for i in range(len(x)) for j in columns(pairs.positive, i)]
    value = loss.invariance_weight * mean(squared, x)
    for rows in (x, y):
        n, dimensions = rows.shape
        if n < 2:
            continue
        middle = [total([rows[i][d] for i in range(n)], x) / n for d in range(dimensions)]
        for d in range(dimensions):
            for e in range(dimensions):
                products = [(rows[i][d] - middle[d]) * (rows[i][e] - middle[e]) for i in range(n)]
                covariance = total(products, x) / (n - 1)
                if d != e:
                    value = value + loss.covariance_weight * covariance**2 / dimensions
                elif (covariance + loss.eps).sqrt() < 1:
                    value = value + loss.variance_weight * (1 - (covariance + loss.eps).sqrt()) / dimensions
    return value


def unit(x: Tensor) -> Tensor:
    return x / x.norm() if bool(x.any()) else x * 0


def dynamic_soft_margin(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    """A first batch: the histogram is its own."""
    table = [[euclidean(unit(a), unit(b)) for b in references.embeddings] for a in x]
    values = []
    for a in range(len(x)):
        negative = columns(pairs.negative, a)
        for p in columns(pairs.positive, a):
            if negative:
                values.append(table[a][p] - min((table[a][n] for n in negative), key=lambda d: float(d.detach())))
    bins = len(loss.histogram)
    width = 2 * loss.reach / (bins - 1)
    histogram = [0.0] * bins
    places = [(float(v.detach()) + loss.reach) / width for v in values]
    for place in places:
        histogram[int(place)] += (1 - place % 1) / len(places)
        histogram[min(int(place) + 1, bins - 1)] += place % 1 / len(places)
    return mean([sum(histogram[: int(place) + 1]) * v for place, v in zip(places, values, strict=True)], x)


def hardest_triplets(x: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    distances = torch.cdist(x / x.norm(dim=1, keepdim=True), x / x.norm(dim=1, keepdim=True)).detach()
    pairs = same_label_pairs(labels, labels, torch.arange(len(x)))
    anchor, positive = pairs.positive.nonzero(as_tuple=True)
    return anchor, positive, distances.masked_fill(~pairs.negative, torch.inf).argmin(dim=1)[anchor]


def dynamic_soft_margin_peer() -> Any:
    from pytorch_metric_learning.losses import DynamicSoftMarginLoss

    loss = DynamicSoftMarginLoss(num_bins=19)
    loss.hist_ = torch.zeros(20)  # theirs lacks the last point, and fails on a value beside it
    update = loss.update_histogram
    # Theirs differentiates through the histogram; the authors' code, and ours, do not.
    loss.update_histogram = lambda values: update(values.detach())
    return lambda x, labels: loss(x, labels, hardest_triplets(x, labels))


def vicreg_peer() -> Any:
    """Theirs takes two views without labels: each of the labels' samples with each other, pooled views twice."""
    from pytorch_metric_learning.losses import VICRegLoss as Theirs

    def value(x: Tensor, labels: Tensor) -> Tensor:
        anchor, positive = same_label_pairs(labels, labels, torch.arange(len(x))).positive.nonzero(as_tuple=True)
        views = Theirs(invariance_lambda=25, variance_mu=0, covariance_v=0)(x[anchor], ref_emb=x[positive])
        return views + Theirs(invariance_lambda=0, variance_mu=50, covariance_v=1)(x, ref_emb=x)

    return value


def remembered(loss: CrossBatchMemory) -> CrossBatchMemory:
    """Return the memory after two batches of three, so that it went round its end."""
    loss(random_rows(3, seed=7).float(), torch.tensor([0, 1, 5]))
    loss(random_rows(3, seed=8).float(), torch.tensor([2, 1, 0]))
    return loss


def with_memory(inner: Any) -> Any:
    def oracle(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
        # Of the six rows the last four are left; their order among the columns makes no difference.
        rows = torch.cat([random_rows(3, seed=7), random_rows(3, seed=8)])[-4:].float().double()
        y = torch.cat([references.embeddings, rows])
        y_labels = torch.cat([references.labels, torch.tensor([5, 2, 1, 0])])
        every = same_label_pairs(labels, y_labels, references.own)
        if loss.memory_weight is None:
            return inner(loss.loss, x, labels, References(y, y_labels, references.own), every)
        constant = References(y.detach(), y_labels, references.own)
        value = inner(loss.loss, x, labels, references, pairs)
        return value + loss.memory_weight * inner(loss.loss, x, labels, constant, every)

    return oracle


def weighted(*oracles: Any) -> Any:
    def oracle(loss: Any, x: Tensor, *arguments: Any) -> Tensor:
        parts = zip(loss.weights, loss.losses, oracles, strict=True)
        return total([weight * part(each, x, *arguments) for weight, each, part in parts], x)

    return oracle


def pml_contrastive(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    """Their defaults but for vectors as they are: the mean over what costs something, of each side."""
    table = distance_table(x, references)
    near = [table[i][j] for i in range(len(x)) for j in columns(pairs.positive, i) if table[i][j] > 0]
    far = [1 - table[i][j] for i in range(len(x)) for j in columns(pairs.negative, i) if table[i][j] < 1]
    return mean(near, x) + mean(far, x)


LP_DISTANCE = {
    "class_path": "pytorch_metric_learning.distances.LpDistance",
    "init_args": {"normalize_embeddings": False},
}
NO_PAIRS = dict.fromkeys(["given_pairs", "no_pairs"], "given pairs say nothing about remembered columns: refused")

CASES = [
    Case("batch-instance", lambda: BatchInstanceLoss(scale=4.0), batch_instance),
    Case("batch-instance-sharp", BatchInstanceLoss, batch_instance),
    Case(
        "vicreg",
        VICRegLoss,
        vicreg,
        exempt={"no_pairs": "variance and covariance need no pairs"},
        peer=vicreg_peer,
    ),
    Case("dynamic-soft-margin", DynamicSoftMarginLoss, dynamic_soft_margin),
    Case(
        "dynamic-soft-margin-20",
        lambda: DynamicSoftMarginLoss(bins=20),
        dynamic_soft_margin,
        peer=dynamic_soft_margin_peer,
    ),
    Case(
        "memory-contrastive",
        lambda: remembered(CrossBatchMemory(ContrastiveLoss(margin=2.0), size=4)),
        with_memory(contrastive),
        exempt=NO_PAIRS,
    ),
    Case(
        "memory-of-the-paper",
        lambda: remembered(CrossBatchMemory(ContrastiveLoss(margin=2.0), size=4, memory_weight=0.7)),
        with_memory(contrastive),
        exempt={**NO_PAIRS, "gradcheck": "the batch among the remembered is a constant; the oracle has it so"},
    ),
    Case(
        "memory-batch-hard",
        lambda: remembered(CrossBatchMemory(TripletMarginLoss(0.7, miner=BatchHard()), size=4)),
        with_memory(triplet_batch_hard),
        exempt=NO_PAIRS,
    ),
    Case(
        "memory-empty",
        lambda: CrossBatchMemory(ContrastiveLoss(margin=2.0), size=4, start_step=3),
        lambda loss, *arguments: contrastive(loss.loss, *arguments),
        exempt=NO_PAIRS,
    ),
    Case(
        "weighted-sum",
        lambda: WeightedSum([ContrastiveLoss(margin=2.0), SoftmaxLoss(), TripletMarginLoss()], [1.0, 0.3, 0.0]),
        weighted(contrastive, softmax, triplet_margin),
        exempt={"no_pairs": "the softmax needs no pairs"},
    ),
    Case(
        "weighted-sum-of-columns",
        lambda: WeightedSum([ProxyAnchorLoss(scale=4.0), TripletMarginLoss(0.7)]),
        weighted(proxy_anchor, triplet_margin),
        exempt={"no_pairs": "the proxies need no pairs"},
    ),
    Case(
        "pytorch-metric-learning",
        lambda: PytorchMetricLearningLoss("ContrastiveLoss", {"distance": LP_DISTANCE}),
        pml_contrastive,
        exempt={
            "describe": "made here, nested objects can't be described; plain, as jsonargparse leaves them, they can"
        },
    ),
]
