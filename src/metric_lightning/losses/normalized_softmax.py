"""Normalised softmax (Wang et al. 2017, NormFace: L2 hypersphere embedding for face verification; Zhai & Wu 2019,
Classification is a strong baseline for deep metric learning).

N anchors, C classes; cos (N, C) cosines between anchors and class weights, T temperature.
"""

import torch
from torch import Tensor, nn

from metric_lightning.functional.class_costs import class_costs
from metric_lightning.functional.precision import full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import check_positive
from metric_lightning.losses.class_weights import ClassWeightLoss, random_directions
from metric_lightning.types import Ratio


class NormalizedSoftmaxLoss(ClassWeightLoss):
    """-log softmax(cos / T)[label], the mean over anchors.

    Angles to class weights train what retrieval by angle uses: a strong, simple start for class labels. It fails with
    many classes of a few samples each, whose weights are seldom moved, and with a temperature near 1: cosines within
    [-1, 1] can't make a confident softmax.

    Zhai & Wu fix T = 0.05, the default; NormFace learns the scale 1 / T (`learn_temperature`).

    Helps:
        A strong and stable first choice where training classes are known and many samples have them.

    Collapses:
        Hardly; with a scale too small the classes are never told apart well.

    Args:
        num_classes: None: from the data.
        embedding_dim: None: from the network.
        temperature: T > 0; where it is learnt, its start.
        learn_temperature: whether log(1 / T) is a parameter.

    Example:
        >>> loss = NormalizedSoftmaxLoss(num_classes=2, embedding_dim=2, temperature=1.0)
        >>> loss.weight.data = torch.eye(2)
        >>> loss(torch.tensor([[3.0, 0.0]]), torch.tensor([0]))  # log(1 + exp(0 - 1))
        tensor(0.3133, grad_fn=<DivBackward0>)
    """

    def __init__(
        self,
        num_classes: int | None = None,
        embedding_dim: int | None = None,
        temperature: float = 0.05,
        learn_temperature: bool = False,
    ):
        super().__init__(num_classes, embedding_dim)
        self.temperature = check_positive(self, "temperature", temperature)
        start = torch.tensor(1.0 / self.temperature).log()
        self.log_scale = nn.Parameter(start) if learn_temperature else None
        self.build_if_sized()

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the weights (C, D) with length 1 / T."""
        scale = 1 / self.temperature if self.log_scale is None else full_precision(self.log_scale).exp()
        return (unit_rows(full_precision(self.weight)) * scale,)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        costs = class_costs(unit_rows(embeddings) @ prepared[0].T, labels)
        return {"classes": Ratio(costs, torch.ones_like(costs))}
