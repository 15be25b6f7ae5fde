"""Softmax with cross-entropy on class scores W e + b: the classification baseline.

N anchors, C classes; e (N, D) embeddings, W (C, D), b (C,).
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from metric_lightning.functional.class_costs import class_costs
from metric_lightning.functional.precision import full_precision
from metric_lightning.losses.class_weights import ClassWeightLoss
from metric_lightning.types import Ratio


class SoftmaxLoss(ClassWeightLoss):
    """-log softmax(W e + b)[label], the mean over anchors.

    A baseline that is hard to beat where the classes to be told apart are those of training. Lengths of embeddings grow
    with the certainty of their class, so distances between them say less than angles; see `NormalizedSoftmaxLoss`.

    Helps:
        Where the classes to be told apart are those of training.

    Collapses:
        At a high learning rate embeddings get longer and longer; distances then say less than angles.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        bias: whether there is a b.

    Example:
        >>> loss = SoftmaxLoss(num_classes=4, embedding_dim=2)
        >>> loss(torch.zeros(3, 2), torch.tensor([0, 1, 2])).shape
        torch.Size([])
    """

    def __init__(self, num_classes: int | None = None, embedding_dim: int | None = None, bias: bool = True):
        super().__init__(num_classes, embedding_dim)
        self.use_bias = bias
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make W and b, initialised as `nn.Linear` does."""
        layer = nn.Linear(embedding_dim, num_classes, bias=self.use_bias)
        self.weight, self.bias = layer.weight, layer.bias

    def prepare(self) -> tuple[Tensor, ...]:
        """Return W and b."""
        found = (self.weight,) if self.bias is None else (self.weight, self.bias)
        return tuple(full_precision(parameter) for parameter in found)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        costs = class_costs(linear(embeddings, *prepared), labels)
        return {"classes": Ratio(costs, torch.ones_like(costs))}
