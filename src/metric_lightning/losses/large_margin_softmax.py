"""Large-margin softmax (Liu et al. 2016, Large-margin softmax loss for convolutional neural networks).

N anchors, C classes; x (N, D) embeddings, w (C, D) class weights, theta their angle, y the anchor's class, m a whole
number.
"""

import math

import torch
from torch import Tensor

from metric_lightning.checks import check_whole
from metric_lightning.functional.class_costs import class_costs, own_scores
from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.types import Ratio


def multiply_angle(cosines: Tensor, m: int) -> Tensor:
    """Return psi = (-1)^k cos(m theta) - 2k from cos(theta), elementwise, k pi / m <= theta <= (k + 1) pi / m.

    It falls from 1 at theta = 0 to 1 - 2m at pi. cos(m theta) is a polynomial of cos(theta) (Chebyshev's): no arc
    cosine is needed, and value and gradient are finite at +-1.

    Args:
        cosines: any shape, within [-1, 1] but for rounding.
        m: at least 1.

    Example:
        >>> multiply_angle(torch.tensor([1.0, 0.0, -1.0]), m=2)
        tensor([ 1., -1., -3.])
    """
    before, power = torch.ones_like(cosines), cosines
    for _ in range(m - 1):
        before, power = power, 2 * cosines * power - before
    k = torch.zeros_like(cosines, requires_grad=False)
    for j in range(1, m):
        k += cosines.detach() < math.cos(j * math.pi / m)
    return (1 - 2 * (k % 2)) * power - 2 * k


def widen_own_scores(scores: Tensor, labels: Tensor, lengths: Tensor, m: int, blend: float) -> Tensor:
    """Return |x||w_y| (psi + b cos(theta_y)) / (1 + b) in place of |x||w_y| cos(theta_y) (N,).

    Args:
        scores: (N, C), <x, w>.
        labels: (N,) int64.
        lengths: (N,), |x||w_y|; where it is 0 there is no angle, and the score stays as it is.
        m: how many times the angle is taken.
        blend: b.

    Example:
        >>> widen_own_scores(torch.tensor([[0.0, 2.0]]), torch.tensor([0]), torch.tensor([3.0]), m=2, blend=0.0)
        tensor([-3.])
    """
    own = own_scores(scores, labels)
    cosines = own / lengths.masked_fill(lengths == 0, torch.inf)
    widened = lengths * ((multiply_angle(cosines, m) + blend * cosines) / (1 + blend))
    return widened.where(lengths > 0, own)


class LargeMarginSoftmaxLoss(ClassWeightLoss):
    """-log softmax(<x, w>) with |x||w_y| psi(theta_y) for the own class's score, the mean over anchors.

    The angle to the own class counts m-fold (`multiply_angle`), so classes keep apart. Hard to train from the start:
    most angles are near pi / 2, where m = 4 asks for the impossible; the paper blends in the plain softmax at first
    (`blend`). Later papers keep the idea and drop the trouble: `CosFaceLoss`, `ArcFaceLoss`.

    Helps:
        As a classifier whose classes shall be compact; lengths of embeddings and weights take part.

    Collapses:
        From scratch at m = 4; begin with the plain softmax blended in.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        margin: m, whole, >= 1; 1 is the plain softmax without bias.
        blend: b >= 0; psi becomes (psi + b cos) / (1 + b). The paper lowers it from 1,000 towards 0 during training.
        scale: of the scores; 1 in the paper.

    Example:
        >>> loss = LargeMarginSoftmaxLoss(num_classes=2, embedding_dim=2, margin=2)
        >>> loss.weight.data = torch.eye(2)
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
        """Return the weights (C, D) and their lengths (C,)."""
        weight = full_precision(self.weight)
        return weight.view_as(weight), weight.norm(dim=1)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        weight, weight_lengths = prepared
        scores = embeddings @ weight.T
        lengths = embeddings.norm(dim=1) * weight_lengths.index_select(0, labels)
        own = widen_own_scores(scores, labels, lengths, self.margin, self.blend)
        costs = class_costs(scores, labels, own, self.scale)
        return {"classes": Ratio(costs, torch.ones_like(costs))}
