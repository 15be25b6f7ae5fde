"""Distances as parts, to be named in YAML and given to a loss. Smaller is closer."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from metric_lightning.checks import check_arguments, check_finite
from metric_lightning.functional import distances as functional
from metric_lightning.functional.weighted_l1 import weighted_l1_distances
from metric_lightning.parts import Part

__all__ = [
    "CosineDistance",
    "Distance",
    "DotProductDistance",
    "EuclideanDistance",
    "LpDistance",
    "SignalToNoiseDistance",
    "SquaredEuclideanDistance",
    "WeightedL1Distance",
]


class Distance(Part, nn.Module, ABC):
    """Turns rows x (N, D) and columns y (M, D) into distances (N, M); N or M may be 0."""

    def __init__(self) -> None:
        super().__init__()
        check_arguments(self)

    def build(self, embedding_dim: int) -> None:
        """Make the parameters whose size is that of the embedding; a loss's own `build` calls it."""

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""

    def similarity(self, distances: Tensor) -> Tensor:
        """Return the similarity that losses written in similarities mean: larger is closer."""
        return -distances


class EuclideanDistance(Distance):
    """|x - y|, see `functional.distances.euclidean_distances`.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.5]]), torch.tensor([[2.0, 1.0]])
        >>> EuclideanDistance()(x, y)
        tensor([[2.0616]])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.euclidean_distances(x, y)


class SquaredEuclideanDistance(Distance):
    """|x - y|^2, see `functional.distances.squared_euclidean_distances`.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.5]]), torch.tensor([[2.0, 1.0]])
        >>> SquaredEuclideanDistance()(x, y)
        tensor([[4.2500]])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.squared_euclidean_distances(x, y)


class CosineDistance(Distance):
    """1 - cos(x, y), in [0, 2]; its similarity is the cosine.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.5]]), torch.tensor([[2.0, 1.0]])
        >>> CosineDistance()(x, y)
        tensor([[0.5528]])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.cosine_distances(x, y)

    def similarity(self, distances: Tensor) -> Tensor:
        """Return the cosine."""
        return 1.0 - distances


class DotProductDistance(Distance):
    """-<x, y>; its similarity is the dot product.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.5]]), torch.tensor([[2.0, 1.0]])
        >>> DotProductDistance()(x, y)
        tensor([[-0.5000]])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.dot_product_distances(x, y)


class LpDistance(Distance):
    """(sum |x - y|^p)^(1/p).

    Args:
        p: exponent, at least 1.

    Raises:
        ValueError: p below 1.

    Example:
        >>> x, y = torch.tensor([[0.0, 0.5]]), torch.tensor([[2.0, 1.0]])
        >>> LpDistance(p=1.0)(x, y)
        tensor([[2.5000]])
    """

    def __init__(self, p: float = 1.0):
        super().__init__()
        if not p >= 1:
            raise ValueError(f"LpDistance: p must be at least 1, got {p}")
        self.p = p

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.lp_distances(x, y, self.p)


class SignalToNoiseDistance(Distance):
    """var(x - y) / var(x), not symmetric: x is the anchor (Yuan et al. 2019).

    Example:
        >>> SignalToNoiseDistance()(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 0.5]]))
        tensor([[0.5625]])
    """

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.signal_to_noise_distances(x, y)


class WeightedL1Distance(Distance):
    """b + sum_d w_d |x_d - y_d| with learned weights and bias: the pair score of Koch et al. 2015, turned around.

    Minus the distance is the logit of being the same: P(same) = sigmoid(-d), see `losses.PairCrossEntropyLoss`. It
    may be negative, and a component may count against being different (w_d < 0). A component whose weight is
    exactly 0 learns on.

    Where training starts matters: with all distances near 0 every pair looks alike, its loss near log 2, and nothing is
    learned of the hard ones. A start with larger weights and a negative bias, so that P(same) goes from nearly 1 of
    equal embeddings to nearly 0 of strangers, learns faster (see experiments/omniglot/koch.yaml).

    Args:
        embedding_dim: D; None: from the network, when the module is built.
        first_weight: what all weights are at first; None: 1 / sqrt(D).
        first_bias: what b is at first.

    Raises:
        ValueError: embedding_dim below 1, or built for another one.
        RuntimeError: it isn't built (when called).

    References:
        Koch, Zemel, Salakhutdinov: Siamese neural networks for one-shot image recognition (ICML workshop 2015).

    Example:
        >>> distance = WeightedL1Distance(embedding_dim=4)
        >>> distance(torch.zeros(1, 4), torch.tensor([[1.0, -1.0, 0.0, 2.0]])).detach()
        tensor([[2.]])
    """

    weight: nn.Parameter | None

    def __init__(self, embedding_dim: int | None = None, first_weight: float | None = None, first_bias: float = 0.0):
        super().__init__()
        self.first_weight = None if first_weight is None else check_finite(self, "first_weight", first_weight)
        self.register_parameter("weight", None)
        self.bias = nn.Parameter(torch.tensor(check_finite(self, "first_bias", first_bias)))
        if embedding_dim is not None:
            self.build(embedding_dim)

    def build(self, embedding_dim: int) -> None:
        """Make the weights, one for each component."""
        if embedding_dim < 1:
            raise ValueError(f"WeightedL1Distance: embedding_dim must be at least 1, got {embedding_dim}")
        if self.weight is None:
            first = embedding_dim**-0.5 if self.first_weight is None else self.first_weight
            self.weight = nn.Parameter(torch.full((embedding_dim,), first, device=self.bias.device))
        elif len(self.weight) != embedding_dim:
            raise ValueError(f"WeightedL1Distance has {len(self.weight)} weights for embeddings of {embedding_dim}")

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        if self.weight is None:
            raise RuntimeError("WeightedL1Distance: give embedding_dim, or call build(embedding_dim) first")
        return weighted_l1_distances(x, y, self.weight).add_(self.bias)
