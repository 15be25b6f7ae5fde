"""Instance loss (Zheng et al. 2020, Dual-path convolutional image-text embeddings with instance loss).

N anchors, C instances, D dimensions; e (N, D) embeddings, W (C, D) weights, g scale.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from metric_lightning.distances import CosineDistance
from metric_lightning.functional.class_costs import class_costs
from metric_lightning.functional.log_sums import log_one_plus_exp, masked_logsumexp
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.losses.blocks import full_precision
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class InstanceLoss(ClassWeightLoss):
    """-log softmax(W e)[instance], the mean over anchors: an image with its texts is a class of its own.

    The paper's definition. W is shared by both kinds of input, so both are drawn to the same place: embed images and
    texts, concatenate, and label each row with its instance, 0 to C - 1. Helps to start a ranking loss, which finds
    nothing to rank among random embeddings. W grows with the data, and instances that look alike are pushed apart all
    the same.

    The authors' later code has no W: each sample of the batch is a class; that is `BatchInstanceLoss`.

    Args:
        num_classes: C, the number of instances; None: from the data.
        embedding_dim: None: from the network.

    Example:
        >>> loss = InstanceLoss(num_classes=2, embedding_dim=2)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - 1))
        tensor(0.3133, grad_fn=<SumBackward0>)
    """

    def __init__(self, num_classes: int | None = None, embedding_dim: int | None = None):
        super().__init__(num_classes, embedding_dim)
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    def class_terms(self, embeddings: Tensor, labels: Tensor) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        costs = class_costs(linear(embeddings, full_precision(self.weight)), labels)
        return {"classes": Ratio(costs, torch.ones_like(costs))}


class BatchInstanceLoss(PairwiseLoss):
    """-log [exp(g cos(x, x)) / sum_z exp(g cos(x, z))], z over the batch, the mean over anchors.

    The authors' later code, without labels and weights: each sample is its own class. It only pushes samples apart,
    as a regulariser beside another loss (`WeightedSum`); alone it undoes classes, whose samples are pushed apart too.

    cos(x, x) is 1, so the cost is log(1 + sum_{z != x} exp(g (cos(x, z) - 1))); 0 for an anchor without other columns.

    Args:
        scale: g > 0.
        relevance: pairs in neither of its masks are left out; None: equal labels, which leaves out none.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> BatchInstanceLoss(scale=1.0)(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]))
        tensor(0.6931)
    """

    def __init__(self, scale: float = 64.0, relevance: Relevance | None = None, block_size: int | None = None):
        super().__init__(CosineDistance(), None, relevance, block_size)
        self.scale = check_positive(self, "scale", scale)

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        others = pairs.positive | pairs.negative
        costs = log_one_plus_exp(masked_logsumexp(distances, others, -self.scale))
        return {"instances": Ratio(costs, others.any(dim=1).to(costs.dtype))}
