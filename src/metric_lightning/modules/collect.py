"""Gathers embedded batches to one set: over batches, then over ranks, each sample once."""

from collections.abc import Iterator

import torch
import torch.distributed as dist
from torch import Tensor

from metric_lightning.metrics import EmbeddedSet
from metric_lightning.metrics.base import first_of_each
from metric_lightning.modules.gather import lost_ranks_named, world_size


class Collector:
    """Takes embedded batches one by one; `finish` returns them all and starts anew."""

    def __init__(self) -> None:
        self._batches: list[EmbeddedSet] = []

    def add(self, embeddings: Tensor, labels: Tensor, indices: Tensor | None) -> None:
        """Add a batch; samples without indices are all taken to be different."""
        if indices is None:
            indices = torch.full((len(labels),), -1)
        self._batches.append(EmbeddedSet(embeddings.detach().float().cpu(), labels.cpu(), indices.cpu()))

    def finish(self, gather: bool = True) -> EmbeddedSet:
        """Return all samples in the order of their indices, each once, of all ranks where `gather`."""
        batches, self._batches = self._batches, []
        if gather and world_size() > 1:
            parts: list[list[EmbeddedSet]] = [[] for _ in range(world_size())]
            with lost_ranks_named():
                dist.all_gather_object(parts, batches)
            batches = [batch for part in parts for batch in part]
        whole = joined(batches)
        kept = first_of_each(whole.indices)
        return EmbeddedSet(whole.embeddings[kept], whole.labels[kept], whole.indices[kept])


def joined(batches: list[EmbeddedSet]) -> EmbeddedSet:
    """Return embedded batches as one set, in their order; an empty set where there are none."""
    if not batches:
        return EmbeddedSet(torch.empty(0, 1), torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))
    return EmbeddedSet(
        torch.cat([batch.embeddings for batch in batches]),
        torch.cat([batch.labels for batch in batches]),
        torch.cat([batch.indices for batch in batches]),
    )


def on_first_rank(batches: list[EmbeddedSet]) -> Iterator[EmbeddedSet]:
    """Yield the batches of all ranks on rank 0, nothing elsewhere; all ranks must go through it.

    Only one batch of each rank is under way at a time. `batches` is emptied meanwhile, and ranks may hold different
    numbers of them.
    """
    if world_size() == 1:
        while batches:
            yield batches.pop(0)
        return
    first = dist.get_rank() == 0
    counts: list[int] = [0] * world_size()
    with lost_ranks_named():
        dist.all_gather_object(counts, len(batches))
    for _ in range(max(counts)):
        parts: list[EmbeddedSet | None] = [None] * world_size()
        with lost_ranks_named():
            dist.gather_object(batches.pop(0) if batches else None, parts if first else None)
        yield from (part for part in parts if part is not None)
