"""Proxy-Anchor (Kim et al. 2020, Proxy anchor loss for deep metric learning).

N samples, C proxies, one for each class; s (C, N) cosines, m margin, a scale (alpha in the paper).
"""

import torch
from torch import Tensor

from metric_lightning.functional.log_sums import log_one_plus_exp, masked_logsumexp
from metric_lightning.functional.precision import full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.types import Ratio


def proxy_anchor_costs(
    cosines: Tensor, same: Tensor, margin: float = 0.1, scale: float = 32.0
) -> tuple[Tensor, Tensor]:
    """Return log(1 + sum_p exp(-a (s_p - m))) and log(1 + sum_n exp(a (s_n + m))), p the proxy's samples, n all others.

    Args:
        cosines: (C, N).
        same: (C, N) bool, which samples are of the proxy's class.
        margin: m, in units of cosine.
        scale: a.

    Returns:
        Both (C,); the sum over no sample is 0, and so is the cost.

    Example:
        >>> proxy_anchor_costs(torch.tensor([[1.0, -1.0]]), torch.tensor([[True, False]]), margin=1.0, scale=1.0)
        (tensor([0.6931]), tensor([0.6931]))
    """
    positive = masked_logsumexp(cosines, same, -scale) + scale * margin
    negative = masked_logsumexp(cosines, ~same, scale) + scale * margin
    return log_one_plus_exp(positive), log_one_plus_exp(negative)


class ProxyAnchorLoss(ClassWeightLoss):
    """mean_c log(1 + sum_p exp(-a (s_cp - m))) + mean_c log(1 + sum_n exp(a (s_cn + m))), c the proxies.

    The first mean is over the proxies with a sample in the batch, the second over all; p are the samples of the proxy's
    class, n all others, s cosines. Proxies are the anchors: each weighs the samples of the batch by how hard they are.
    With many classes and small batches most proxies only ever push; then `ProxyNCALoss` or a pair loss does better.

    A cost belongs to a proxy and takes all samples of the batch, so it is no sum over rows: `row_wise` is False.

    Helps:
        Fast convergence in batches that have samples of most classes: each proxy weighs all of them at once.

    Collapses:
        With many classes and small batches, where most proxies push alone and pull at nothing. With proxies that learn
        as slowly as the network they lag behind it: raise `loss_lr_scale`.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        margin: m >= 0, in units of cosine.
        scale: a > 0.

    Example:
        >>> loss = ProxyAnchorLoss(num_classes=2, embedding_dim=2, margin=0.0, scale=1.0)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(-1)) / 1 + log(1 + exp(0)) / 2
        tensor(0.6598, grad_fn=<AddBackward0>)
    """

    row_wise = False

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        margin: float = 0.1,
        scale: float = 32.0,
    ):
        super().__init__(num_classes, embedding_dim)
        self.margin = check_positive(self, "margin", margin, zero=True)
        self.scale = check_positive(self, "scale", scale)
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the proxies (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the proxies as unit vectors (C, D)."""
        return (unit_rows(full_precision(self.weight)),)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each proxy's share (C,) of the sums."""
        cosines = prepared[0] @ unit_rows(embeddings).T
        same = torch.arange(len(cosines), device=labels.device)[:, None] == labels
        positive, negative = proxy_anchor_costs(cosines, same, self.margin, self.scale)
        present = same.any(dim=1).to(cosines.dtype)
        everyone = torch.full_like(present, float(len(labels) > 0))
        return {"positive": Ratio(positive, present), "negative": Ratio(negative, everyone)}
