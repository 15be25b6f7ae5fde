"""Distances as parts, to be named in YAML and given to a loss. Smaller is closer."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from metric_lightning.functional import distances as functional
from metric_lightning.parts import Part

__all__ = [
    "CosineDistance",
    "Distance",
    "DotProductDistance",
    "EuclideanDistance",
    "LpDistance",
    "SignalToNoiseDistance",
    "SquaredEuclideanDistance",
]


class Distance(Part, nn.Module, ABC):
    """Turns rows x (N, D) and columns y (M, D) into distances (N, M)."""

    @abstractmethod
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""

    def similarity(self, distances: Tensor) -> Tensor:
        """Return the similarity that losses written in similarities mean: larger is closer."""
        return -distances


class EuclideanDistance(Distance):
    """|x - y|, see `functional.distances.euclidean_distances`."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.euclidean_distances(x, y)


class SquaredEuclideanDistance(Distance):
    """|x - y|^2, see `functional.distances.squared_euclidean_distances`."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.squared_euclidean_distances(x, y)


class CosineDistance(Distance):
    """1 - cos(x, y), in [0, 2]; its similarity is the cosine."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.cosine_distances(x, y)

    def similarity(self, distances: Tensor) -> Tensor:
        """Return the cosine."""
        return 1.0 - distances


class DotProductDistance(Distance):
    """-<x, y>; its similarity is the dot product."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.dot_product_distances(x, y)


class LpDistance(Distance):
    """(sum |x - y|^p)^(1/p).

    Args:
        p: exponent, at least 1.
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
    """var(x - y) / var(x), not symmetric: x is the anchor (Yuan et al. 2019)."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the distances (N, M)."""
        return functional.signal_to_noise_distances(x, y)
