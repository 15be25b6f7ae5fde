"""What losses with weights of their own for each class share: built late, checked labels, float32."""

from abc import abstractmethod

import torch
from torch import Tensor

from metric_lightning.losses.base import MetricLoss, check_batch
from metric_lightning.losses.blocks import full_precision
from metric_lightning.types import Pairs, Ratio, References


class ClassWeightLoss(MetricLoss):
    """A loss that compares anchors (N, D) with weights for each of C classes; references play no part.

    Args:
        num_classes: C; None: `build` is told by the module, from the data.
        embedding_dim: D; None: likewise, from the network.
    """

    learns_classes = True

    def __init__(self, num_classes: int | None, embedding_dim: int | None):
        super().__init__()
        self.num_classes = num_classes
        self.embedding_dim = embedding_dim
        self.built = False

    @abstractmethod
    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the parameters."""

    @abstractmethod
    def class_terms(self, embeddings: Tensor, labels: Tensor) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of total and count, from float32 embeddings (N, D)."""

    def build_if_sized(self) -> None:
        """Build at once where both sizes were given; called at the end of a constructor."""
        if self.num_classes is not None and self.embedding_dim is not None:
            self.build(None, self.embedding_dim)

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make the weights; sizes given to the constructor must agree with those of data and network."""
        classes = num_classes if self.num_classes is None else self.num_classes
        name = type(self).__name__
        if classes is None:
            raise ValueError(f"{name}: the number of classes is not known; give num_classes to the loss or the module")
        if num_classes not in (None, classes):
            raise ValueError(f"{name}: num_classes is {classes}, but the data have {num_classes} classes; leave it out")
        if self.embedding_dim not in (None, embedding_dim):
            raise ValueError(
                f"{name}: embedding_dim is {self.embedding_dim}, but the network gives {embedding_dim}; leave it out"
            )
        if not self.built:
            self.num_classes, self.embedding_dim, self.built = classes, embedding_dim, True
            self.make_weights(classes, embedding_dim)

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, see `MetricLoss.terms`; `references` and `pairs` are not used."""
        if not self.built:
            raise RuntimeError(
                f"{type(self).__name__} has no weights yet: give num_classes and embedding_dim, or call "
                "build(num_classes, embedding_dim) before the optimizer is made"
            )
        check_batch(embeddings, labels, References(embeddings, labels))
        with torch.autocast(embeddings.device.type, enabled=False):
            shares = self.class_terms(full_precision(embeddings), labels)
            return {name: Ratio(part.total.sum(), part.count.sum()) for name, part in shares.items()}
