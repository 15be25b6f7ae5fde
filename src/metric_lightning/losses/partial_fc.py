"""Partial FC (An et al. 2021, Partial FC: Training 10 million identities on a single machine; An et al. 2022, Killing
two birds with one stone).

N anchors, C classes; cos (N, C) cosines between anchors and class weights, y the anchor's class, s scale.
"""

import torch
from torch import Tensor

from metric_lightning.functional.hashing import anchor_keys
from metric_lightning.functional.labels import class_numbers
from metric_lightning.functional.precision import autocast_off, both_full_precision, full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.arcface import add_angle, check_angle
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import random_directions
from metric_lightning.losses.recomputed_blocks import recomputed
from metric_lightning.losses.sharded_classes import ShardedClassLoss, ShardSums
from metric_lightning.types import Ratio

_KEPT_SCORES = 2**25


class PartialFCLoss(ShardedClassLoss):
    """-log softmax(s cos) with cos(theta_y + a) - c for the own class's cosine, over classes shared out over ranks.

    For hundreds of thousands of classes and more. With several ranks each holds C / W rows of the weights and of the
    optimizer's state, and scores all anchors against them; the result is that of one process with all rows. c = 0 is
    ArcFace, a = 0 CosFace.

    `sample_rate` below 1 leaves out classes: each step compares with the classes of the batch and a random share of all
    others, drawn anew, the same for any number of ranks. The papers find 0.1 as good as all, and better where classes
    are mislabelled. Rows left out get a zero gradient, but momentum and weight decay of the optimizer move them.

    Scores are never kept: they are computed again in the backward pass, some classes at a time, where N x C is large.

    Helps:
        From some hundred thousand classes on, shared out over ranks.

    Collapses:
        As ArcFace; with a small sample rate and momentum, weights of classes that were left out drift.

    Args:
        num_classes: C; None: from the data.
        embedding_dim: None: from the network.
        angle_margin: a, in radians, 0 to pi.
        cosine_margin: c >= 0.
        scale: s > 0.
        sample_rate: share of the other classes in a training step, above 0 to 1. In evaluation it is 1.
        seed: of the draws.

    Example:
        >>> loss = PartialFCLoss(num_classes=2, embedding_dim=2, angle_margin=0.5, scale=1.0)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[2.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - cos(0.5)))
        tensor(0.3477, grad_fn=<DivBackward0>)
    """

    step: Tensor

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        angle_margin: float = 0.5,
        cosine_margin: float = 0.0,
        scale: float = 64.0,
        sample_rate: float = 1.0,
        seed: int = 0,
    ):
        super().__init__(num_classes, embedding_dim)
        if not 0 < sample_rate <= 1:
            raise ValueError(f"PartialFCLoss: sample_rate must be above 0 and at most 1, got {sample_rate}")
        self.angle_margin = check_angle(self, angle_margin, "angle_margin")
        self.cosine_margin = check_positive(self, "cosine_margin", cosine_margin, zero=True, most=2)
        self.scale = check_positive(self, "scale", scale)
        self.sample_rate = float(sample_rate)
        self.seed = seed
        # The classes of the batch are all ranks' affair.
        self.row_wise = sample_rate == 1
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the weights (C, D)."""
        return (full_precision(self.weight),)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        sums = self._sums(embeddings, labels, prepared[0])
        costs = sums.log_sums - sums.own
        return {"classes": Ratio(costs, torch.ones_like(costs))}

    def shard_sums(self, embeddings: Tensor, labels: Tensor) -> ShardSums:
        """Return the share's sums, see `ShardedClassLoss`."""
        labels = class_numbers(self, labels, int(self.num_classes or 0))
        with autocast_off(embeddings.device):
            x, weight = both_full_precision(embeddings, self.weight)
            return self._sums(x, labels, weight)

    def _sums(self, embeddings: Tensor, labels: Tensor, weight: Tensor) -> ShardSums:
        labels = labels - self.first
        chosen = self._chosen(labels)
        if len(chosen) < len(weight):
            weight = weight.index_select(0, chosen)
        column = torch.searchsorted(chosen, labels).clamp_max(len(chosen) - 1)
        (here,) = (chosen[column] == labels).nonzero(as_tuple=True)
        column = column[here]
        x, w = unit_rows(embeddings), unit_rows(weight)
        cosines = (x.index_select(0, here) * w.index_select(0, column)).sum(dim=1)
        own = self.scale * (add_angle(cosines, self.angle_margin) - self.cosine_margin)

        def log_sums(start: int, x: Tensor, part: Tensor, own: Tensor) -> Tensor:
            scores = self.scale * (x @ part.T)
            inside = (column >= start) & (column < start + len(part))
            scores = scores.index_put((here[inside], column[inside] - start), own[inside])
            return scores.logsumexp(dim=1)

        parts = w.split(max(1, _KEPT_SCORES // max(1, len(x))))
        if len(parts) == 1:
            sums = log_sums(0, x, w, own)
        else:
            starts = range(0, len(w), len(parts[0]))
            found = [recomputed(log_sums, start, x, part, own) for start, part in zip(starts, parts, strict=True)]
            sums = torch.stack(found).logsumexp(dim=0)
        return ShardSums(sums, own.new_zeros(len(x)).index_put((here,), own))

    def _chosen(self, labels: Tensor) -> Tensor:
        """Return this step's classes of the share, rising, at least one; they and `labels` count from its first."""
        classes = torch.arange(len(self.weight), device=labels.device)
        if self.row_wise or not self.training:
            return classes
        keys = anchor_keys(self.seed, int(self.step), classes + self.first)
        self.step += 1
        taken = keys < int(self.sample_rate * 2**63)
        taken[labels[(labels >= 0) & (labels < len(classes))]] = True
        taken[0] |= ~taken.any()
        return classes[taken]
