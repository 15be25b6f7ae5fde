"""Sub-center ArcFace (Deng et al. 2020, Sub-center ArcFace: Boosting face recognition by large-scale noisy web faces).

N anchors, C classes, K sub-centers of each; m margin, s scale.
"""

from typing import Any

import torch
from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.precision import full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.arcface import arcface_costs, check_angle
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.types import Ratio


def largest_score(scores: Tensor) -> Tensor:
    """Return the largest of the K scores (N, K, C) of each class (N, C); of equal ones the first takes the gradient.

    Example:
        >>> largest_score(torch.tensor([[[1.0], [3.0]]]))
        tensor([[3.]])
    """
    result: Tensor = _LargestScore.apply(scores)
    return result


class _LargestScore(torch.autograd.Function):
    # Faster than `max(dim=1)`, whose indices take twice the memory of the scores.

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        largest = scores.amax(dim=1)
        ctx.save_for_backward(scores, largest)
        return largest

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        scores, largest = ctx.saved_tensors
        slopes = torch.empty_like(scores)
        rest = gradient
        for k in range(scores.shape[1]):
            chosen = scores[:, k] == largest
            torch.mul(rest, chosen, out=slopes[:, k])
            if k + 1 < scores.shape[1]:
                rest = rest - slopes[:, k]
        return slopes


class SubCenterArcFaceLoss(ClassWeightLoss):
    """ArcFace where a class's cosine is the largest of those to its K sub-centers, the mean over anchors.

    Helps with mislabelled samples and classes of several kinds: odd samples gather at a sub-center of their own, and
    pull at no other. With clean, compact classes it scatters a class over sub-centers: K = 1, plain ArcFace, is then
    better.

    Of sub-centers at the same cosine one takes the gradient.

    Helps:
        With mislabelled samples: they gather at a sub-centre of their own and pull at no other.

    Collapses:
        With clean, compact classes, which it scatters; and as ArcFace with a wide margin from scratch.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        sub_centers: K >= 1.
        margin: m in radians, 0 to pi.
        scale: s > 0.
        monotonic: see `arcface.add_angle`.

    Example:
        >>> loss = SubCenterArcFaceLoss(num_classes=2, embedding_dim=2, sub_centers=2, margin=0.0, scale=1.0)
        >>> loss.weight.data = torch.tensor([[[1.0, 0.0], [-1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]])  # (K, C, D)
        >>> loss(torch.tensor([[0.0, 2.0]]), torch.tensor([0]))  # class 0 at cosine 1, class 1 too
        tensor(0.6931, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        sub_centers: int = 3,
        margin: float = 0.5,
        scale: float = 64.0,
        monotonic: bool = True,
    ):
        super().__init__(num_classes, embedding_dim)
        self.sub_centers = check_whole(self, "sub_centers", sub_centers)
        self.margin = check_angle(self, margin)
        self.scale = check_positive(self, "scale", scale)
        self.monotonic = monotonic
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (K, C, D): classes side by side, so that the largest of K is a pass over whole rows."""
        self.weight = random_directions(self.sub_centers, num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the weights as unit vectors (K C, D)."""
        return (unit_rows(full_precision(self.weight)).flatten(0, 1),)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        each = (unit_rows(embeddings) @ prepared[0].T).unflatten(1, (self.sub_centers, -1))
        costs = arcface_costs(largest_score(each), labels, self.margin, self.scale, self.monotonic)
        return {"classes": Ratio(costs, torch.ones_like(costs))}
