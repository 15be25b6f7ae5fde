"""CosFace (Wang et al. 2018, CosFace: Large margin cosine loss for deep face recognition; also AM-Softmax).

N anchors, C classes; cos (N, C) cosines between anchors and class weights, y the anchor's class, m margin, s scale.
"""

from torch import Tensor

from metric_lightning.functional.class_costs import class_costs
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import CosineClassLoss


def cosface_costs(cosines: Tensor, labels: Tensor, margin: float = 0.35, scale: float = 64.0) -> Tensor:
    """Return -log softmax(s cos), with cos_y - m for the own class's cosine (N,).

    Args:
        cosines: (N, C).
        labels: (N,) int64.
        margin: m, in units of cosine.
        scale: s.

    Example:
        >>> import torch
        >>> cosface_costs(torch.tensor([[1.0, 0.5]]), torch.tensor([0]), margin=0.5, scale=1.0)  # a tie
        tensor([0.6931])
    """
    return class_costs(cosines, labels, scale=scale, margin=margin)


class CosFaceLoss(CosineClassLoss):
    """-log [exp(s (cos_y - m)) / (exp(s (cos_y - m)) + sum_c exp(s cos_c))], the mean over anchors.

    cos_c is the cosine between the anchor and the weight of class c, y its own class; the sum is over the others.
    The margin asks each class to keep its distance from all others, which pays with many classes to be told from unseen
    ones. Too large a margin, or too small a scale, leaves a cost that no embedding can satisfy, and training stalls.

    Helps:
        As ArcFace, with a margin in the cosine itself, which is easier to start with.

    Collapses:
        Too large a margin or too small a scale leaves a cost that no embedding can satisfy.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        margin: m >= 0, in units of cosine.
        scale: s > 0.

    Example:
        >>> import torch
        >>> loss = CosFaceLoss(num_classes=2, embedding_dim=2, margin=0.5, scale=1.0)
        >>> loss.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - 0.5))
        tensor(0.4741, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        margin: float = 0.35,
        scale: float = 64.0,
    ):
        super().__init__(num_classes, embedding_dim)
        self.margin = check_positive(self, "margin", margin, zero=True, most=2)
        self.scale = check_positive(self, "scale", scale)
        self.build_if_sized()

    def cosine_costs(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Return each anchor's cost (N,)."""
        return cosface_costs(cosines, labels, self.margin, self.scale)
