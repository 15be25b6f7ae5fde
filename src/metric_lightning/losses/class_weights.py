"""What losses with weights of their own for each class share: built late, checked labels, float32."""

from abc import abstractmethod

import torch
from torch import Tensor, nn

from metric_lightning.functional.labels import class_numbers
from metric_lightning.functional.precision import autocast_off, both_full_precision, full_precision
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.losses.base import MetricLoss, check_batch
from metric_lightning.losses.blocks import sum_over_blocks
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
    def prepare(self) -> tuple[Tensor, ...]:
        """Return what is worked out from the parameters once for all anchors, first the weights (..., D), float32.

        None of it is made from another: blocks of rows differentiate by each, and go no further back.
        """

    @abstractmethod
    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of total and count, from float32 embeddings (N, D) and `prepare()`.

        It depends on no parameter but through `prepared`.
        """

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
        if classes < 1 or embedding_dim < 1:
            raise ValueError(
                f"{name}: num_classes and embedding_dim must be at least 1, got {classes} and {embedding_dim}"
            )
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
        check_batch(embeddings, labels)
        if embeddings.shape[1] != self.embedding_dim:
            sizes = f"embeddings have {embeddings.shape[1]} dimensions, the weights {self.embedding_dim}"
            raise ValueError(f"{type(self).__name__}: {sizes}")
        labels = class_numbers(self, labels, int(self.num_classes or 0))
        with autocast_off(embeddings.device):
            prepared = self.prepare()

        def block(x: Tensor, _: Tensor, start: int) -> dict[str, Ratio]:
            return self.class_terms(x, labels[start : start + len(x)], prepared)

        embeddings, _ = both_full_precision(embeddings, prepared[0])
        prepared = tuple(part.to(embeddings.dtype) for part in prepared)
        # The columns only tell how many scores each anchor has.
        columns = embeddings.new_empty(prepared[0].numel() // embeddings.shape[1], 0)
        rows = None if self.row_wise else max(1, len(embeddings))
        return sum_over_blocks(block, embeddings, columns, prepared, rows)


class CosineClassLoss(ClassWeightLoss):
    """A loss of the cosines (N, C) between anchors and one weight vector for each class, whose length plays no part."""

    def make_weights(self, num_classes: int, embedding_dim: int) -> None:
        """Make the weights (C, D), in random directions."""
        self.weight = random_directions(num_classes, embedding_dim)

    @abstractmethod
    def cosine_costs(self, cosines: Tensor, labels: Tensor) -> Tensor:
        """Return each anchor's cost (N,), from cosines (N, C)."""

    def prepare(self) -> tuple[Tensor, ...]:
        """Return the weights as unit vectors (C, D)."""
        return (unit_rows(full_precision(self.weight)),)

    def class_terms(self, embeddings: Tensor, labels: Tensor, prepared: tuple[Tensor, ...]) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        costs = self.cosine_costs(unit_rows(embeddings) @ prepared[0].T, labels)
        return {"classes": Ratio(costs, torch.ones_like(costs))}


def random_directions(*shape: int) -> nn.Parameter:
    """Return vectors (..., D) in random directions, of length about 1."""
    return nn.Parameter(torch.randn(*shape) * shape[-1] ** -0.5)
