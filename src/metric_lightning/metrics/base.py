"""What every metric of this package is: figures of one embedded set of samples.

Modules embed a validation or test set once and hand the same `EmbeddedSet` to every metric
(`evaluate`). Users with a loop of their own call `update` and `compute`, as with any torchmetrics
metric.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.distributed
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from metric_lightning.distances import Distance
from metric_lightning.parts import Part


class EmbeddedSet(NamedTuple):
    """Samples after the network.

    Attributes:
        embeddings: (n, D) floating point.
        labels: (n,) int64, or (n, C) bool for samples with several labels.
        indices: (n,) int64, the position of each sample in its dataset: what tells one sample from
            another.
        groups: (n,) int64 or None, where a sample comes from (its camera, say); see
            `RetrievalMetrics`.
    """

    embeddings: Tensor
    labels: Tensor
    indices: Tensor
    groups: Tensor | None = None


class EmbeddingMetric(Part, Metric, ABC):
    """A metric of embeddings. A subclass writes `evaluate`, and calls `super().__init__()` in its
    constructor.

    `update(embeddings, labels, indices)` collects samples on every rank; `compute()` brings the
    ranks together, drops samples seen twice (the same index: what a padding sampler does) and
    evaluates. The sample order is that of the indices, so the figures don't depend on how samples
    were spread over ranks. A rank may have no sample.

    Names of figures hold no slash, so that they serve in names of files. A figure that can't be
    measured (no query has a relevant item, say) is nan, never a number that looks like a result.
    """

    uses_gallery: bool = True
    """Whether `evaluate` looks at a gallery; where no metric does, the module embeds none."""

    full_state_update = False
    is_differentiable = False
    higher_is_better = None

    embeddings: list[Tensor]
    labels: list[Tensor]
    indices: list[Tensor]
    groups: list[Tensor]
    gallery_embeddings: list[Tensor]
    gallery_labels: list[Tensor]
    gallery_indices: list[Tensor]
    gallery_groups: list[Tensor]

    _loss_distance: tuple[Distance | None]
    _part: tuple[str | None, Callable[[int], str] | None]

    def __init__(self) -> None:
        super().__init__(dist_sync_fn=gather_parts)
        self._loss_distance = (None,)
        self._part = (None, None)
        for side in ("", "gallery_"):
            for name in EmbeddedSet._fields:
                self.add_state(side + name, default=[], dist_reduce_fx="cat")

    @abstractmethod
    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the figures of `queries`; a pure function of its arguments and the constructor's.

        Args:
            queries: the samples to be judged.
            gallery: the samples that they may be compared with, the training set usually. A metric
                that can't do without one returns no figure when it is None.
        """

    def take_distance(self, distance: Distance | None) -> None:
        """Take note of the distance of the module's loss, for metrics that judge by it (`distance: loss`).

        The module calls it. The distance stays the loss's: its parameters are no state of the metric.
        """
        self._loss_distance = (distance,)  # not as an attribute of its own: it would be registered

    def take_part(self, part: str | None, path_of: Callable[[int], str] | None = None) -> None:
        """Take note of what the next set is, for metrics that read lists of samples: a part of the data, "val" or
        "test", and the file of each of its samples, by index.

        The module calls it, before `fit` and `evaluate`. None: not known.
        """
        self._part = (part, path_of)

    def fit(self, queries: EmbeddedSet) -> None:
        """Choose what is to be chosen on validation data, a threshold say; mostly nothing."""

    def update(
        self,
        embeddings: Tensor,
        labels: Tensor,
        indices: Tensor | None = None,
        groups: Tensor | None = None,
        gallery: bool = False,
    ) -> None:
        """Collect samples.

        Args:
            embeddings: (n, D).
            labels: (n,) int64, or (n, C) bool.
            indices: (n,) int64, the position of each sample in its dataset; None where no sample
                comes twice.
            groups: (n,) int64 or None.
            gallery: True where the samples belong to the gallery.

        Raises:
            ValueError: the lengths differ, or embeddings are no matrix.
        """
        if embeddings.ndim != 2 or labels.shape[:1] != embeddings.shape[:1]:
            raise ValueError(
                f"embeddings {tuple(embeddings.shape)} and labels {tuple(labels.shape)} must be "
                "(n, D) and (n,) or (n, C)"
            )
        if len(embeddings) == 0:
            return
        unknown = torch.full((len(embeddings),), -1, dtype=torch.int64, device=embeddings.device)
        indices = unknown if indices is None else indices
        groups = unknown if groups is None else groups
        added = EmbeddedSet(embeddings.detach(), labels, indices, groups)
        for name, values in added._asdict().items():
            getattr(self, ("gallery_" if gallery else "") + name).append(values)

    def compute(self) -> dict[str, float]:
        """Return the figures of all samples of all ranks."""
        queries, gallery = self._collected(""), self._collected("gallery_")
        if not len(gallery.labels):
            return self.evaluate(queries, None)
        if not len(queries.labels):
            queries = EmbeddedSet(*(values[:0] for values in gallery[:3]))
        return self.evaluate(queries, gallery)

    def _collected(self, side: str) -> EmbeddedSet:
        parts = [getattr(self, side + name) for name in EmbeddedSet._fields]
        if len(parts[0]) == 0:
            return EmbeddedSet(torch.empty(0, 1), *(torch.empty(0, dtype=torch.int64) for _ in range(2)))
        # lists of batches, or one tensor each where torchmetrics has brought ranks together
        embeddings, labels, indices, groups = (dim_zero_cat(values) for values in parts)
        kept = first_of_each(indices)
        known = bool((groups >= 0).any())
        return EmbeddedSet(embeddings[kept], labels[kept], indices[kept], groups[kept] if known else None)


def first_of_each(indices: Tensor) -> Tensor:
    """Return the positions of the first of each index, in the order of the indices; negative ones
    are all different.

    Example:
        >>> first_of_each(torch.tensor([4, 1, 4, -1, -1])).tolist()
        [3, 4, 1, 0]
    """
    ordered, order = indices.sort(stable=True)
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]) | (ordered[1:] < 0)
    return order[fresh]


def gather_parts(part: Tensor, group: object = None) -> list[Tensor]:
    """Return the parts of all ranks, empty ones left out.

    torchmetrics' own gathering aborts when a rank has nothing: its stand-in, `torch.tensor([])`,
    has another type and another number of dimensions than what the other ranks hold.
    """
    parts: list[Tensor] = [part] * torch.distributed.get_world_size(group)  # type: ignore[arg-type]
    torch.distributed.all_gather_object(parts, part.cpu(), group=group)  # type: ignore[arg-type]
    filled = [gathered.to(part.device) for gathered in parts if len(gathered)]
    return filled or [part]
