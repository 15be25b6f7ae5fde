"""Instance loss (Zheng et al. 2020, Dual-path convolutional image-text embeddings with instance loss).

N anchors, C instances, D dimensions; e (N, D) embeddings, W (C, D) weights, g scale.
"""

import torch
from torch import Tensor
from torch.nn.functional import linear

from metric_lightning.functional.class_costs import class_costs
from metric_lightning.functional.distances import cosine_distances
from metric_lightning.functional.precision import full_precision
from metric_lightning.functional.slopes import with_slopes
from metric_lightning.losses.base import MetricLoss, check_batch, check_positive
from metric_lightning.losses.blocks import check_block_size, sum_over_blocks
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.types import Pairs, Ratio, References


class InstanceLoss(ClassWeightLoss):
    """-log softmax(W e)[instance], the mean over anchors: an image with its texts is a class of its own.

    The paper's definition. W is shared by both kinds of input, so both are drawn to the same place: embed images and
    texts, concatenate, and label each row with its instance, 0 to C - 1. Helps to start a ranking loss, which finds
    nothing to rank among random embeddings. W grows with the data, and instances that look alike are pushed apart all
    the same.

    The authors' later code has no W: each sample of the batch is a class; that is `BatchInstanceLoss`.

    Helps:
        To start a ranking loss between images and texts, which finds nothing to rank among random embeddings.

    Collapses:
        Hardly; but with many look-alike instances it pushes apart what belongs together.

    Args:
        num_classes: C, the number of instances; None: from the data.
        embedding_dim: None: from the network.

    Example:
        >>> loss = InstanceLoss(num_classes=2, embedding_dim=2)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[1.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - 1))
        tensor(0.3133, grad_fn=<DivBackward0>)
    """

    def __init__(self, num_classes: int | None = None, embedding_dim: int | None = None):
        super().__init__(num_classes, embedding_dim)
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the weights (C, D)."""
        return (full_precision(self.weight),)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        costs = class_costs(linear(embeddings, prepared[0]), labels)
        return {"classes": Ratio(costs, torch.ones_like(costs))}


class BatchInstanceLoss(MetricLoss):
    """-log [exp(g cos(x, x)) / sum_z exp(g cos(x, z))], z over the batch, the mean over anchors.

    The authors' later code, without labels and weights: each sample is its own class. It only pushes samples apart,
    as a regulariser beside another loss (`WeightedSum`); alone it undoes classes, whose samples are pushed apart too.

    cos(x, x) is 1, so the cost is log(1 + sum_{z != x} exp(g (cos(x, z) - 1))). An anchor without other columns does
    not count; where pairs are given, neither do columns in neither mask.

    Helps:
        To begin a ranking loss on pairs of views or of image and text, without weights for each instance.

    Collapses:
        In small batches there is little to tell apart; samples of one class in a batch are pushed apart all the
        same.

    Args:
        scale: g > 0.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> BatchInstanceLoss(scale=1.0)(torch.tensor([[1.0], [2.0]]), torch.tensor([0, 1]))
        tensor(0.6931)
    """

    def __init__(self, scale: float = 64.0, block_size: int | None = None):
        super().__init__()
        check_block_size(self, block_size)
        self.scale = check_positive(self, "scale", scale)
        self.block_size = block_size

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, see `MetricLoss.terms`; labels are not looked at."""
        check_batch(embeddings, labels, references, pairs)
        if references is None:
            references = References(embeddings, labels, torch.arange(len(embeddings), device=embeddings.device))
        own = references.own

        def block(x: Tensor, y: Tensor, start: int) -> dict[str, Ratio]:
            part = slice(start, start + len(x))
            distances = cosine_distances(x, y)
            shares = distances.detach().mul(-self.scale).exp_()  # no cosine is above 1: nothing overflows
            if pairs is not None:
                others = pairs.positive[part] | pairs.negative[part]
                shares.masked_fill_(~others, 0)
                counted = others.any(dim=1).to(x.dtype)
            else:
                if own is not None:
                    shares.scatter_(1, own[part, None], 0)
                counted = x.new_full((len(x),), float(len(y) > (own is not None)))
            sums = shares.sum(dim=1)
            slopes = shares.div_((1 + sums).div_(-self.scale)[:, None])
            return {"instances": Ratio(with_slopes(sums.log1p(), slopes, distances), counted)}

        return sum_over_blocks(block, embeddings, references.embeddings, (), self.block_size)
