"""SphereFace (Liu et al. 2017, SphereFace: Deep hypersphere embedding for face recognition).

N anchors, C classes; x (N, D) embeddings, w (C, D) class weights, theta their angle, y the anchor's class, m a whole
number.
"""

import torch
from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.functional.class_costs import class_costs
from metric_lightning.functional.precision import full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.losses.large_margin_softmax import widen_own_scores
from metric_lightning.types import Ratio


class SphereFaceLoss(ClassWeightLoss):
    """-log softmax(|x| cos) with |x| psi(theta_y) for the own class's score, the mean over anchors.

    The large-margin softmax with class weights of length 1, so that only angles separate classes; see
    `large_margin_softmax.multiply_angle`. Embeddings keep their length, which acts as the scale: short ones give a
    flat softmax, and training from scratch at m = 4 may not start; the authors' code blends in the plain softmax
    (`blend`).

    Helps:
        As large-margin softmax, with angles alone between classes.

    Collapses:
        From scratch at m = 4 it may not start; begin with the plain softmax blended in (`blend`).

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        margin: m, whole, >= 1.
        blend: b >= 0; psi becomes (psi + b cos) / (1 + b). The authors' code lowers it from 1,500 to 5 during training.
        scale: of the scores; 1 in the paper.

    Example:
        >>> loss = SphereFaceLoss(num_classes=2, embedding_dim=2, margin=2)
        >>> loss.weight.data = 5 * torch.eye(2)
        >>> loss(torch.tensor([[1.0, 1.0]]), torch.tensor([0]))  # sqrt(2) psi(45 degrees) = 0: log(1 + exp(1 - 0))
        tensor(1.3133, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        margin: int = 4,
        blend: float = 0.0,
        scale: float = 1.0,
    ):
        super().__init__(num_classes, embedding_dim)
        self.margin = check_whole(self, "margin", margin)
        self.blend = check_positive(self, "blend", blend, zero=True)
        self.scale = check_positive(self, "scale", scale)
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the weights as unit vectors (C, D)."""
        return (unit_rows(full_precision(self.weight)),)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        scores = embeddings @ prepared[0].T
        own = widen_own_scores(scores, labels, embeddings.norm(dim=1), self.margin, self.blend)
        costs = class_costs(scores, labels, own, self.scale)
        return {"classes": Ratio(costs, torch.ones_like(costs))}
