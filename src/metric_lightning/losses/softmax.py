"""Softmax with cross-entropy on class scores W e + b: the classification baseline."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear

from metric_lightning.losses.class_weights import ClassWeightLoss
from metric_lightning.types import Ratio


class SoftmaxLoss(ClassWeightLoss):
    """-log softmax(W e + b)[label], the mean over anchors.

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

    def class_terms(self, embeddings: Tensor, labels: Tensor) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        costs = cross_entropy(linear(embeddings, self.weight, self.bias), labels, reduction="none")
        return {"classes": Ratio(costs, torch.ones_like(costs))}
