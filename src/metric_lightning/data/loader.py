"""Loaders: whole batches at a time, and for training from any batch on."""

import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Sampler

from metric_lightning.data.batch import Batch, Draw
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.sampler import BatchSampler, EvaluationSampler, Position


class Loader(ABC):
    """Iterates over the batches of a data set; what all loaders of a data module are.

    A loader wraps torch's DataLoader and is none itself, so that Lightning takes it as it is: a
    sampler that Lightning puts in place of ours would pad ranks with duplicates.

    Attributes:
        dataset: where the samples come from.
        batch_sampler: which samples.
    """

    dataset: LabelledDataset
    batch_sampler: BatchSampler | EvaluationSampler

    def __init__(self, dataset: LabelledDataset, batch_sampler: Sampler[list[int]], num_workers: int):
        self._loader = DataLoader(
            dataset,
            batch_sampler=batch_sampler,
            num_workers=num_workers,
            collate_fn=_as_it_is,
            pin_memory=torch.cuda.is_available(),
            persistent_workers=num_workers > 0,
            # Else every start of workers draws from the global stream, and dropout would depend on their number.
            generator=torch.Generator(),
        )
        # Kept alive until we are gone: workers of a torch loader that is collected together with the
        # trainer in one reference cycle never hear that they should end, and hold us up for 5 s each.
        weakref.finalize(self, _let_go, self._loader)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    @abstractmethod
    def __iter__(self) -> Iterator[Batch]:
        """Start a pass."""


class EvaluationLoader(Loader):
    """Every sample of this rank's share once, in order.

    Args:
        dataset: where the samples come from.
        batch_sampler: which samples.
        num_workers: processes that load; 0 loads in this one, best for data in memory.

    Example:
        >>> from metric_lightning.data import ArrayDataset
        >>> data = ArrayDataset(torch.zeros(3, 1, 2, 2).byte(), [0, 1, 1])
        >>> loader = EvaluationLoader(data, EvaluationSampler(3, batch_size=2))
        >>> len(loader), [batch.labels.tolist() for batch in loader]
        (2, [[0, 1], [1]])
    """

    def __init__(self, dataset: LabelledDataset, batch_sampler: EvaluationSampler, num_workers: int = 0):
        super().__init__(dataset, batch_sampler, num_workers)
        self.dataset = dataset
        self.batch_sampler = batch_sampler

    def __iter__(self) -> Iterator[Batch]:
        yield from self._loader


class TrainingLoader(Loader):
    """Draws training batches and knows its position in the run; Lightning saves and restores it in
    checkpoints.

    The position counts the batches handed out, not those that workers have drawn ahead. Drawing
    starts with the first batch asked for, not with `iter`, since Lightning calls `set_epoch` in
    between. A pass that was broken off starts again from its beginning, unless `load_state_dict`
    says otherwise; a finished one moves on to the next epoch.

    Args:
        dataset: where the samples come from.
        batch_sampler: which samples.
        num_workers: processes that load; 0 loads in this one, best for data in memory.

    Example:
        >>> from metric_lightning.data import ArrayDataset, PlainBatches
        >>> data = ArrayDataset(torch.zeros(6, 1, 2, 2).byte(), [0, 0, 0, 1, 1, 1])
        >>> first, again = (
        ...     TrainingLoader(data, PlainBatches(batch_size=2).sampler(data.labels)) for _ in range(2)
        ... )
        >>> batches = iter(first)
        >>> _ = next(batches)
        >>> again.load_state_dict(first.state_dict())
        >>> bool((next(batches).indices == next(iter(again)).indices).all())
        True
    """

    batch_sampler: BatchSampler

    def __init__(self, dataset: LabelledDataset, batch_sampler: BatchSampler, num_workers: int = 0):
        self._pass = _Pass(batch_sampler)
        super().__init__(dataset, self._pass, num_workers)
        self.dataset = dataset
        self.batch_sampler = batch_sampler

    def set_epoch(self, epoch: int) -> None:
        """Start at the beginning of `epoch`; Lightning does it by itself."""
        self.batch_sampler.set_epoch(epoch)

    def state_dict(self) -> Position:
        """Return the place after the last batch handed out."""
        return self.batch_sampler.state_dict()

    def load_state_dict(self, state_dict: Position) -> None:
        """Make the next pass go on from there."""
        self.batch_sampler.load_state_dict(state_dict)

    def __iter__(self) -> Iterator[Batch]:
        self._pass.start = self.batch_sampler.begin()
        self._pass.epoch = epoch = self.batch_sampler.epoch
        for batch in self._loader:
            self.batch_sampler.advance()
            yield batch
        self.batch_sampler.finish(epoch)


class _Pass(Sampler[list[int]]):
    """What torch's DataLoader draws from, ahead of what is handed out: keeps no position."""

    def __init__(self, batch_sampler: BatchSampler):
        self.batch_sampler = batch_sampler
        self.epoch = 0
        self.start = 0

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Iterator[Draw]:
        return self.batch_sampler.draws(self.epoch, self.start)


def _as_it_is(batch: Any) -> Any:
    return batch


def _let_go(loader: DataLoader[Any]) -> None:
    """Drop the last reference."""
