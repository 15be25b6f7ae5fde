"""Sigmoid loss on pairs (Zhai et al. 2023, Sigmoid loss for language image pre-training, SigLIP).

N anchors, M references, s (N, M) similarities; z = 1 for a positive pair, -1 for a negative one.
"""

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from metric_lightning.checks import check_finite
from metric_lightning.distances import CosineDistance, Distance
from metric_lightning.functional.first_order import first_order_only
from metric_lightning.functional.log_sums import log_one_plus_exp, positive_values
from metric_lightning.functional.pairs import row_counts
from metric_lightning.losses.averages import check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio


class SigmoidPairwiseLoss(PairwiseLoss):
    """log(1 + exp(-z (t s + b))) for each pair, summed over an anchor's pairs, the mean over anchors.

    Each pair is a yes or no of its own: no softmax over the batch, any number of positives, and every pair counts, also
    of anchors without a positive. Scale t and bias b are learned, t as its logarithm. The first bias makes "no" the
    likely answer, as most pairs are negative; with b = 0 the first steps undo that imbalance.

    Helps:
        For two towers on many ranks: every pair counts by itself, no softmax over the batch.

    Collapses:
        With a bias near 0 at the start, where many negatives drown the positives; begin at about -10, as the
        paper.

    Args:
        scale: the first t, > 0.
        bias: the first b.
        learn: whether t and b are parameters.
        average: "anchors": the sum over an anchor's pairs, as the paper, so that the loss grows with the batch;
            "pairs": the mean over all pairs.
        distance: default cosine.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> SigmoidPairwiseLoss(bias=0.0)(embeddings, torch.tensor([0, 1]))  # log(1 + exp(10 x 0 + 0))
        tensor(0.6931, grad_fn=<DivBackward0>)
    """

    log_scale: Tensor
    bias: Tensor

    def __init__(
        self,
        scale: float = 10.0,
        bias: float = -10.0,
        learn: bool = True,
        average: Literal["anchors", "pairs"] = "anchors",
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(CosineDistance() if distance is None else distance, miner, relevance, block_size)
        self.average = check_choice(self, "average", average, ("anchors", "pairs"))
        values = {"log_scale": math.log(check_positive(self, "scale", scale)), "bias": check_finite(self, "bias", bias)}
        for name, value in values.items():
            if learn:
                self.register_parameter(name, nn.Parameter(torch.tensor(float(value))))
            else:
                self.register_buffer(name, torch.tensor(float(value)))

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        scores = self.distance.similarity(distances) * self.log_scale.exp() + self.bias
        chosen, filled = positive_values(scores, pairs.positive)
        missed = log_one_plus_exp(chosen.neg().masked_fill(~filled, -torch.inf)).sum(dim=1)
        false: Tensor = _SoftplusSums.apply(scores, pairs.negative)
        count = filled.sum(dim=1, dtype=scores.dtype) + row_counts(pairs.negative, scores.dtype)
        return {"pairs": Ratio(missed + false, count if self.average == "pairs" else count.sign())}


class _SoftplusSums(torch.autograd.Function):
    """sum_{j in mask} log(1 + exp(v_j)) of each row (N,)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, mask: Tensor) -> Tensor:
        values = values.masked_fill(~mask, -torch.inf)
        sums = softplus(values, threshold=50.0).sum(dim=1)
        ctx.save_for_backward(values.sigmoid_())
        return sums

    @staticmethod
    @first_order_only
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (slopes,) = ctx.saved_tensors
        return slopes * gradient[:, None], None
