"""A weighted sum of losses."""

from typing import cast

from torch import Tensor, nn

from metric_lightning.losses.base import MetricLoss, check_positive
from metric_lightning.types import Pairs, Ratio, References


class WeightedSum(MetricLoss):
    """sum_k w_k loss_k, each with its own mean.

    Helps to join a loss that places classes (a softmax) with one that ranks samples (a triplet). Losses of different
    sizes drown each other: look at the parts before choosing weights.

    It is row-wise where all its losses are.

    Helps:
        To join a loss that places classes with one that ranks samples.

    Collapses:
        When the parts differ in size one drowns the others: look at the parts first.

    Args:
        losses: at least one.
        weights: one for each loss, >= 0; None: 1 each.

    Example:
        >>> import torch
        >>> from metric_lightning.losses import ContrastiveLoss, TripletMarginLoss
        >>> loss = WeightedSum([ContrastiveLoss(margin=1.0), TripletMarginLoss(margin=1.0)], weights=[1.0, 0.5])
        >>> embeddings, labels = torch.tensor([[0.0], [1.0], [1.5]]), torch.tensor([0, 0, 1])
        >>> loss(embeddings, labels)  # 0.625 / 3 + 0.5 * 1
        tensor(0.7083)
    """

    def __init__(self, losses: list[MetricLoss], weights: list[float] | None = None):
        super().__init__()
        if not isinstance(losses, list | tuple) or not losses:
            raise ValueError("WeightedSum: losses must be a list of at least one loss")
        if not all(isinstance(loss, MetricLoss) for loss in losses):
            found = next(type(loss).__name__ for loss in losses if not isinstance(loss, MetricLoss))
            raise ValueError(f"WeightedSum: losses must be losses of this package, each a MetricLoss, got {found}")
        weights = [1.0] * len(losses) if weights is None else weights
        if len(weights) != len(losses):
            raise ValueError(f"WeightedSum: weights must be one for each loss, got {len(weights)} for {len(losses)}")
        self.losses = nn.ModuleList(losses)
        self.weights = [check_positive(self, "weights", weight, zero=True) for weight in weights]
        self.row_wise = all(loss.row_wise for loss in losses)
        self.learns_classes = any(loss.learns_classes for loss in losses)  # type: ignore[misc]

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Build each loss."""
        for loss in self._losses():
            loss.build(num_classes, embedding_dim)

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of all losses, called "<number>.<part>", see `MetricLoss.terms`."""
        parts: dict[str, Ratio] = {}
        for number, (loss, weight) in enumerate(zip(self._losses(), self.weights, strict=True)):
            for name, part in loss.terms(embeddings, labels, references, pairs).items():
                parts[f"{number}.{name}"] = Ratio(part.total * weight, part.count)
        return parts

    def _losses(self) -> list[MetricLoss]:
        return cast(list[MetricLoss], list(self.losses))
