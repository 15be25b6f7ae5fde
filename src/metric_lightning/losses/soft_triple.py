"""SoftTriple (Qian et al. 2019, SoftTriple loss: Deep metric learning without triplet sampling).

N anchors, C classes, K centers of each; s (N, K, C) cosines, y the anchor's class, m margin, l scale (lambda in the
paper), g temperature (gamma).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import threshold

from metric_lightning.checks import check_whole
from metric_lightning.functional.class_costs import class_costs
from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.precision import full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.types import Ratio


def relaxed_similarity(cosines: Tensor, temperature: float = 0.1) -> Tensor:
    """Return sum_k softmax_k(s_k / g) s_k (N, C): a smooth largest of a class's cosines (N, K, C).

    Example:
        >>> relaxed_similarity(torch.tensor([[[1.0], [0.0]]]), temperature=0.1)
        tensor([[1.0000]])
    """
    result: Tensor = _RelaxedSimilarity.apply(cosines, temperature)
    return result


class _RelaxedSimilarity(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, cosines: Tensor, temperature: float) -> Tensor:
        shares = (cosines / temperature).softmax(dim=1)
        similarity = torch.linalg.vecdot(shares, cosines, dim=1)
        ctx.save_for_backward(cosines, shares, similarity)
        ctx.temperature = temperature
        return similarity

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        cosines, shares, similarity = ctx.saved_tensors
        # dS / ds_k = p_k (1 + (s_k - S) / g)
        rest = torch.rsub(similarity, 1, alpha=1 / ctx.temperature)
        slopes = torch.add(rest[:, None], cosines, alpha=1 / ctx.temperature)
        return slopes.mul_(shares).mul_(gradient[:, None]), None


def center_spread(centers: Tensor) -> Tensor:
    """Return the mean of |w_s - w_t| / 2 over all pairs s, t of a class's centers, which are unit vectors (K, C, D).

    The paper's regulariser, sum_{s < t} sqrt(2 - 2 <w_s, w_t>) / (C K (K - 1)): small where needless centers have
    merged, at which its gradient is 0. 0 for K = 1.

    Example:
        >>> center_spread(torch.tensor([[[1.0, 0.0]], [[-1.0, 0.0]]]))
        tensor(1.)
    """
    result: Tensor = _CenterSpread.apply(centers)
    return result


class _CenterSpread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, centers: Tensor) -> Tensor:
        number = len(centers)
        classes = centers.transpose(0, 1)
        squares = torch.baddbmm(classes.new_full((1, 1, 1), 2.0), classes, classes.transpose(1, 2), alpha=-2)
        # What is below the rounding noise of unit vectors' products has merged, as each center has with itself.
        apart = threshold(squares, 16 * torch.finfo(squares.dtype).eps, 0.0).sqrt_()
        pairs = max(1, 2 * classes.shape[0] * number * (number - 1))
        spread = apart.sum() / pairs
        # d |w_s - w_t| / d w_s = (w_s - w_t) / |w_s - w_t|, and 0 where they have merged; each pair is there twice.
        pulls = threshold(apart, 0, torch.inf).reciprocal_()
        ctx.scale = 2 / pairs
        slopes = torch.baddbmm(pulls.sum(dim=2, keepdim=True) * classes, pulls, classes, alpha=-1)
        ctx.save_for_backward(slopes.transpose(0, 1))
        return spread

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return slopes * (ctx.scale * gradient)


class SoftTripleLoss(ClassWeightLoss):
    """-log softmax(l S)[y], with S_y - m for the own class, the mean over anchors, + t times the centers' spread.

    S is `relaxed_similarity`, the spread `center_spread`. Several centers suit classes of several kinds (a car from
    all sides). Costs K times the memory of a proxy loss, and K centers of a class with a handful of samples only take
    them to pieces.

    Helps:
        Where a class has several kinds of members, each near a centre of its own.

    Collapses:
        With a handful of samples a class the centres take it to pieces.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        centers: K >= 1.
        margin: m >= 0, in units of cosine.
        scale: l > 0.
        temperature: g > 0, of the softmax over a class's centers.
        spread_weight: t >= 0; 0 leaves the number of centers as it is.

    Example:
        >>> loss = SoftTripleLoss(num_classes=2, embedding_dim=2, centers=1, margin=0.0, scale=1.0)
        >>> loss.weight.data = torch.eye(2)[None]  # (K, C, D)
        >>> loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - 1))
        tensor(0.3133, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        centers: int = 10,
        margin: float = 0.01,
        scale: float = 20.0,
        temperature: float = 0.1,
        spread_weight: float = 0.2,
    ):
        super().__init__(num_classes, embedding_dim)
        self.centers = check_whole(self, "centers", centers)
        self.margin = check_positive(self, "margin", margin, zero=True)
        self.scale = check_positive(self, "scale", scale)
        self.temperature = check_positive(self, "temperature", temperature)
        self.spread_weight = check_positive(self, "spread_weight", spread_weight, zero=True)
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the centers (K, C, D), in random directions."""
        self.weight = random_directions(self.centers, num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the centers as unit vectors (K C, D), and their spread, 0 where it has no weight."""
        centers = unit_rows(full_precision(self.weight))
        spread = center_spread(centers) if self.spread_weight > 0 else centers.new_zeros(())
        return centers.flatten(0, 1), spread

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        centers, spread = prepared
        cosines = (unit_rows(embeddings) @ centers.T).unflatten(1, (self.centers, -1))
        similarities = relaxed_similarity(cosines, self.temperature)
        costs = class_costs(similarities, labels, scale=self.scale, margin=self.margin)
        return {"classes": Ratio(costs.add(spread, alpha=self.spread_weight), torch.ones_like(costs))}
