"""Losses with weights for each class: softmax and its margins, proxies, centers."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from metric_lightning.losses import (
    ArcFaceLoss,
    CosFaceLoss,
    InstanceLoss,
    LargeMarginSoftmaxLoss,
    NormalizedSoftmaxLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SoftTripleLoss,
    SphereFaceLoss,
    SubCenterArcFaceLoss,
)
from metric_lightning.types import Pairs, References
from tests.contract.case import CLASSES, DIMENSIONS, Case
from tests.contract.oracles import cosine, mean, total


def cross_entropy(scores: list[Tensor], own: int) -> Tensor:
    return torch.stack(scores).exp().sum().log() - scores[own]


def over_anchors(cost: Callable[[Any, Tensor, int], Tensor]) -> Callable[..., Tensor]:
    """The oracle of a loss that is the mean over anchors of cost(loss, x, label)."""

    def oracle(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
        return mean([cost(loss, x[i], int(labels[i])) for i in range(len(x))], x)

    return oracle


def normalized_softmax(loss: Any, x: Tensor, y: int) -> Tensor:
    scale = 1 / loss.temperature if loss.log_scale is None else loss.log_scale.exp()
    return cross_entropy([scale * cosine(x, w) for w in loss.weight], y)


def cosface(loss: Any, x: Tensor, y: int) -> Tensor:
    cosines = [cosine(x, w) for w in loss.weight]
    return cross_entropy([loss.scale * (c - loss.margin * (k == y)) for k, c in enumerate(cosines)], y)


def arc(loss: Any, cosines: list[Tensor], y: int) -> Tensor:
    scores = list(cosines)
    theta = torch.acos(cosines[y])
    scores[y] = torch.cos(theta + loss.margin)
    if loss.monotonic and theta + loss.margin > math.pi:
        scores[y] = cosines[y] - loss.margin * math.sin(loss.margin)
    return cross_entropy([loss.scale * score for score in scores], y)


def arcface(loss: Any, x: Tensor, y: int) -> Tensor:
    return arc(loss, [cosine(x, w) for w in loss.weight], y)


def sub_center_arcface(loss: Any, x: Tensor, y: int) -> Tensor:
    cosines = []
    for c in range(CLASSES):
        each = [cosine(x, loss.weight[k, c]) for k in range(loss.sub_centers)]
        cosines.append(max(each, key=lambda s: float(s.detach())))
    return arc(loss, cosines, y)


def wide_angle(loss: Any, x: Tensor, y: int, unit_weights: bool) -> Tensor:
    """A zero embedding is at no angle: its scores are plain."""
    weights = [w / w.norm() if unit_weights else w for w in loss.weight]
    scores = [loss.scale * (x @ w) for w in weights]
    if bool(x.any()):
        theta = torch.acos(cosine(x, weights[y]))
        k = math.floor(float(theta.detach()) * loss.margin / math.pi)
        psi = (-1) ** k * torch.cos(loss.margin * theta) - 2 * k
        psi = (psi + loss.blend * torch.cos(theta)) / (1 + loss.blend)
        scores[y] = loss.scale * x.norm() * weights[y].norm() * psi
    return cross_entropy(scores, y)


def large_margin_softmax(loss: Any, x: Tensor, y: int) -> Tensor:
    return wide_angle(loss, x, y, unit_weights=False)


def sphereface(loss: Any, x: Tensor, y: int) -> Tensor:
    return wide_angle(loss, x, y, unit_weights=True)


def proxy_nca(loss: Any, x: Tensor, y: int) -> Tensor:
    shares = [(-(2 - 2 * cosine(x, w)) / loss.temperature).exp() for w in loss.weight]
    others = [share for c, share in enumerate(shares) if c != y or loss.own_in_denominator]
    return total(others, x).log() - shares[y].log()


def proxy_anchor(loss: Any, x: Tensor, labels: Tensor, references: References, pairs: Pairs) -> Tensor:
    positive, negative = [], []
    for c in range(CLASSES):
        pull, push = [], []
        for i in range(len(x)):
            s = cosine(x[i], loss.weight[c])
            if int(labels[i]) == c:
                pull.append((-loss.scale * (s - loss.margin)).exp())
            else:
                push.append((loss.scale * (s + loss.margin)).exp())
        if pull:
            positive.append((1 + total(pull, x)).log())
        if len(x):
            negative.append((1 + total(push, x)).log())
    return mean(positive, x) + mean(negative, x)


def soft_triple(loss: Any, x: Tensor, y: int) -> Tensor:
    scores = []
    for c in range(CLASSES):
        each = [cosine(x, loss.weight[k, c]) for k in range(loss.centers)]
        weights = [(s / loss.temperature).exp() for s in each]
        similarity = total([w * s for w, s in zip(weights, each, strict=True)], x) / total(weights, x)
        scores.append(loss.scale * (similarity - loss.margin * (c == y)))
    spread = []
    for c in range(CLASSES):
        for s in range(loss.centers):
            for t in range(s + 1, loss.centers):
                spread.append((2 - 2 * cosine(loss.weight[s, c], loss.weight[t, c])).sqrt())
    pairs = max(1, CLASSES * loss.centers * (loss.centers - 1))
    return cross_entropy(scores, y) + loss.spread_weight * total(spread, x) / pairs


def instance(loss: Any, x: Tensor, y: int) -> Tensor:
    return cross_entropy([x @ w for w in loss.weight], y)


def peer(name: str, ours: Callable[[], Any], weights: str, **arguments: Any) -> Callable[[], Any]:
    """Make pytorch-metric-learning's loss with the weights that `Case.loss` gives ours."""

    def make() -> Any:
        from pytorch_metric_learning import losses, regularizers

        if "spread" in arguments:
            centers = regularizers.SparseCentersRegularizer(CLASSES, arguments["centers_per_class"])
            arguments.update(weight_regularizer=centers, weight_reg_weight=arguments.pop("spread"))
        other = getattr(losses, name)(num_classes=CLASSES, embedding_size=DIMENSIONS, **arguments)
        torch.manual_seed(1)
        loss = ours()
        loss.build(CLASSES, DIMENSIONS)
        rows = loss.weight.detach().double()
        # Theirs keep the centers of a class together, ours the classes of a center.
        rows = rows.transpose(0, 1).flatten(0, 1) if rows.ndim == 3 else rows
        getattr(other, weights).data = rows if weights == "proxies" else rows.T.contiguous()
        return other

    return make


def case(name: str, make: Callable[[], Any], cost: Callable[[Any, Tensor, int], Tensor], **options: Any) -> Case:
    return Case(name, make, over_anchors(cost), pairwise=False, **options)


CASES = [
    case(
        "normalized-softmax",
        NormalizedSoftmaxLoss,
        normalized_softmax,
        peer=peer("NormalizedSoftmaxLoss", NormalizedSoftmaxLoss, "W"),
    ),
    case("normalized-softmax-learnt", lambda: NormalizedSoftmaxLoss(learn_temperature=True), normalized_softmax),
    case("cosface", CosFaceLoss, cosface, peer=peer("CosFaceLoss", CosFaceLoss, "W")),
    case("cosface-small", lambda: CosFaceLoss(margin=0.1, scale=3.0), cosface),
    case(
        "arcface",
        ArcFaceLoss,
        arcface,
        peer=peer("ArcFaceLoss", ArcFaceLoss, "W", margin=math.degrees(0.5)),
    ),
    case(
        "arcface-wide",  # many anchors beyond pi - m
        lambda: ArcFaceLoss(margin=1.5, scale=3.0),
        arcface,
        peer=peer("ArcFaceLoss", ArcFaceLoss, "W", margin=math.degrees(1.5), scale=3.0),
    ),
    case("arcface-as-written", lambda: ArcFaceLoss(margin=1.5, scale=3.0, monotonic=False), arcface),
    case(
        "sub-center-arcface",
        SubCenterArcFaceLoss,
        sub_center_arcface,
        peer=peer("SubCenterArcFaceLoss", SubCenterArcFaceLoss, "W", margin=math.degrees(0.5)),
    ),
    case("sub-center-arcface-one", lambda: SubCenterArcFaceLoss(sub_centers=1, scale=4.0), sub_center_arcface),
    case(
        "large-margin-softmax",
        LargeMarginSoftmaxLoss,
        large_margin_softmax,
        peer=peer("LargeMarginSoftmaxLoss", LargeMarginSoftmaxLoss, "W"),
    ),
    case("large-margin-softmax-plain", lambda: LargeMarginSoftmaxLoss(margin=1), large_margin_softmax),
    case(
        "large-margin-softmax-3", lambda: LargeMarginSoftmaxLoss(margin=3, blend=5.0, scale=2.0), large_margin_softmax
    ),
    case("sphereface", SphereFaceLoss, sphereface, peer=peer("SphereFaceLoss", SphereFaceLoss, "W")),
    case("sphereface-3", lambda: SphereFaceLoss(margin=3, blend=5.0, scale=2.0), sphereface),
    case(
        "proxy-nca",
        ProxyNCALoss,
        proxy_nca,
        peer=peer("ProxyNCALoss", ProxyNCALoss, "proxies", softmax_scale=9.0),
    ),
    case("proxy-nca-first", lambda: ProxyNCALoss(temperature=1.0, own_in_denominator=False), proxy_nca),
    Case(
        "proxy-anchor",
        ProxyAnchorLoss,
        proxy_anchor,
        pairwise=False,
        peer=peer("ProxyAnchorLoss", ProxyAnchorLoss, "proxies"),
    ),
    Case("proxy-anchor-mild", lambda: ProxyAnchorLoss(margin=0.3, scale=4.0), proxy_anchor, pairwise=False),
    case("soft-triple", SoftTripleLoss, soft_triple),
    case(
        "soft-triple-spread",
        lambda: SoftTripleLoss(centers=3, spread_weight=0.7),
        soft_triple,
        peer=peer("SoftTripleLoss", lambda: SoftTripleLoss(centers=3), "fc", centers_per_class=3, spread=0.7),
    ),
    case(
        "soft-triple-one",
        lambda: SoftTripleLoss(centers=1),
        soft_triple,
        peer=peer("SoftTripleLoss", lambda: SoftTripleLoss(centers=1), "fc", centers_per_class=1),
    ),
    case("instance", InstanceLoss, instance),
]
