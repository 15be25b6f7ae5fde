"""ArcFace (Deng et al. 2019, ArcFace: Additive angular margin loss for deep face recognition).

N anchors, C classes; cos (N, C) cosines between anchors and class weights, y the anchor's class, m margin, s scale.
"""

import math
from typing import Any

import torch
from torch import Tensor

from metric_lightning.functional.class_costs import class_costs, own_scores
from metric_lightning.functional.first_order import first_order_only
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import CosineClassLoss


def add_angle(cosines: Tensor, margin: float, monotonic: bool = True) -> Tensor:
    """Return cos(theta + m) from cos(theta), elementwise, without an arc cosine: finite in value and gradient at +-1.

    Args:
        cosines: any shape, within [-1, 1] but for rounding.
        margin: m, in radians, 0 to pi.
        monotonic: beyond theta = pi - m, where cos(theta + m) rises again, cos(theta) - m sin(m).

    Example:
        >>> add_angle(torch.tensor([1.0, 0.0, -1.0]), margin=0.5)
        tensor([ 0.8776, -0.4794, -1.2397])
    """
    result: Tensor = _AddAngle.apply(cosines, margin, monotonic)
    return result


class _AddAngle(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cosines: Tensor, margin: float, monotonic: bool) -> Tensor:
        sines = (1 - cosines.square()).clamp_min_(0).sqrt_()
        turned = cosines * math.cos(margin) - sines * math.sin(margin)
        # d sin / d cos = -cos / sin; at sin 0 any direction leads away, and none is taken.
        slopes = cosines / sines.masked_fill_(sines == 0, torch.inf) * math.sin(margin) + math.cos(margin)
        if monotonic:
            beyond = cosines < -math.cos(margin)
            turned = torch.where(beyond, cosines - margin * math.sin(margin), turned)
            slopes.masked_fill_(beyond, 1)
        ctx.save_for_backward(slopes)
        return turned

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return slopes * gradient, None, None


def arcface_costs(
    cosines: Tensor, labels: Tensor, margin: float = 0.5, scale: float = 64.0, monotonic: bool = True
) -> Tensor:
    """Return -log softmax(s cos), with cos(theta_y + m) for the own class's cosine cos(theta_y) (N,).

    Args:
        cosines: (N, C).
        labels: (N,) int64.
        margin: m, in radians.
        scale: s.
        monotonic: see `add_angle`.

    Example:
        >>> arcface_costs(torch.tensor([[1.0, 0.0]]), torch.tensor([0]), margin=math.pi / 2, scale=1.0)  # a tie
        tensor([0.6931])
    """
    return class_costs(cosines, labels, add_angle(own_scores(cosines, labels), margin, monotonic), scale)


class ArcFaceLoss(CosineClassLoss):
    """-log [exp(s cos(theta_y + m)) / (exp(s cos(theta_y + m)) + sum_c exp(s cos(theta_c)))], the mean over anchors.

    theta_c is the angle between the anchor and the weight of class c, y its own class; the sum is over the others.
    A margin in the angle itself, the same at any angle; the choice for very many classes (faces). It starts badly from
    scratch with a wide margin: every anchor then looks wrong; begin with a smaller m, or with pretrained weights.

    The paper writes cos(theta_y + m) only; the authors' code, as most, falls on linearly where theta_y + m > pi: so
    does the default, `monotonic: false` is the paper to the letter.

    Helps:
        With very many classes of few samples each (faces, products), for telling unseen classes apart.

    Collapses:
        From scratch with a wide margin or a large scale every anchor looks wrong and training stands; widen m
        step by step.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        margin: m in radians, 0 to pi.
        scale: s > 0.
        monotonic: whether the own class's score falls on beyond pi - m.

    Example:
        >>> loss = ArcFaceLoss(num_classes=2, embedding_dim=2, margin=0.5, scale=1.0)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - cos(0.5)))
        tensor(0.3477, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        margin: float = 0.5,
        scale: float = 64.0,
        monotonic: bool = True,
    ):
        super().__init__(num_classes, embedding_dim)
        self.margin = check_angle(self, margin)
        self.scale = check_positive(self, "scale", scale)
        self.monotonic = monotonic
        self.build_if_sized()

    def cosine_costs(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Return each anchor's cost (N,)."""
        return arcface_costs(cosines, labels, self.margin, self.scale, self.monotonic)


def check_angle(owner: object, margin: float, name: str = "margin") -> float:
    """Return the margin, or raise ValueError where it is no angle in radians."""
    if not 0 <= margin <= math.pi:
        raise ValueError(f"{type(owner).__name__}: {name} must be 0 to pi, in radians, got {margin}")
    return float(margin)
