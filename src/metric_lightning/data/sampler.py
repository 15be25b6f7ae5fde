"""Batch samplers: one global sequence of batches, of which each rank takes its share."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TypedDict

import numpy as np
from torch.utils.data import Sampler

from metric_lightning.data.batch import Draw
from metric_lightning.data.randomness import Integers, hashed
from metric_lightning.errors import UserError

_FIXED_EPOCH = 0


class Position(TypedDict):
    """Where a run stands in its data; the same on every rank.

    For each of `batches_done` there were `world_size` batches (1 where ranks share each batch) of `batch_size` rows.
    """

    epoch: int
    batches_done: int
    world_size: int
    batch_size: int


class EpochPlan(ABC):
    """What is drawn in an epoch: rows of sample numbers, a function of the epoch's number alone."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows, the same in every epoch."""

    @abstractmethod
    def rows(self, epoch: int) -> Integers:
        """Return the epoch's rows (len, width): each a sample, pair, triplet, or whole batch."""


class BatchSampler(Sampler[list[int]]):
    """Cuts the rows of an epoch into batches and yields this rank's as `Draw`s.

    The batches of an epoch are one sequence that depends on the plan and the epoch only. Of W
    ranks, rank r takes batches r, r + W, r + 2W, ...: what W ranks see in a step is what one
    process sees in W steps. Rows that fill no whole round of W batches are shared out evenly over
    the ranks as a last, smaller batch (with `drop_last`, or when there are fewer rows than ranks,
    they are left out of this epoch), so that all ranks have the same `len` and no sample is doubled
    or, but for these, missing.

    With `shard` all ranks share every batch instead: rank r takes the r-th of W parts, as they stand, and what W ranks
    see in a step is what one process sees in a step.

    Without `set_epoch`, as in a plain loop, each finished pass moves on to the next epoch.

    Args:
        plan: what to draw.
        batch_size: rows in a batch.
        drop_last: leave out the smaller last batch.
        seed: of the augmentation seeds handed out with the draws.
        shuffle: False draws one epoch forever: fixed pairs for evaluation, say.
        rank: number of this process.
        world_size: number of processes.
        shard: ranks share each batch.

    Raises:
        UserError: not one batch for each rank.
    """

    def __init__(
        self,
        plan: EpochPlan,
        *,
        batch_size: int,
        drop_last: bool = False,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
        shard: bool = False,
    ):
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0..world_size-1, got {rank} of {world_size}")
        self.plan = plan
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle
        # Ranks that share a batch are one rank to what follows; each takes its part of what was drawn.
        self.part, self.parts = (rank, world_size) if shard else (0, 1)
        self.rank, self.world_size = (0, 1) if shard else (rank, world_size)
        self.epoch = 0
        self.batches_done = 0
        self._resumed = False
        self._between_epochs = False
        self._shift = 0
        self._whole, rest = divmod(len(plan), batch_size * self.world_size)
        self._has_rest = not drop_last and rest >= self.world_size
        if len(self) == 0:
            raise UserError(
                f"an epoch has {len(plan)} rows (samples, tuples, or whole balanced batches): no batch of "
                f"{batch_size} for each of {self.world_size} process(es); use a smaller batch or more data"
            )

    def __len__(self) -> int:
        return self._whole + self._has_rest

    @property
    def sampler(self) -> "BatchSampler":
        """Itself: Lightning looks for `set_epoch` at `batch_sampler.sampler` only."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Start at the beginning of `epoch`; no change where that is the epoch we are in.

        After `load_state_dict` at the end of an epoch, the next pass is the next epoch whatever number it
        is called here, and later numbers count on from it: Lightning counts an epoch twice when a run of
        `max_steps` is resumed there.
        """
        if self._between_epochs:
            self._shift = self.epoch - epoch
        elif epoch + self._shift != self.epoch:
            self._enter(epoch + self._shift)

    def state_dict(self) -> Position:
        """Return the place after the last batch drawn."""
        return {
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            "world_size": self.world_size,
            "batch_size": self.batch_size,
        }

    def load_state_dict(self, state_dict: Position) -> None:
        """Make the next pass go on from there.

        A run of other world size or batch size goes on after the last whole round of its own: a few
        samples may come twice.
        """
        # Checkpoints of before batch_size was in them are of runs with the same.
        rows = state_dict["batches_done"] * state_dict["world_size"] * state_dict.get("batch_size", self.batch_size)
        done = rows // (self.world_size * self.batch_size)
        self._between_epochs = done >= len(self)
        self._enter(state_dict["epoch"] + self._between_epochs)
        self.batches_done = 0 if self._between_epochs else done
        self._resumed = True

    def __iter__(self) -> Iterator[Draw]:
        epoch = self.epoch
        for draw in self.draws(epoch, self.begin()):
            self.advance()
            yield draw
        self.finish(epoch)

    def draws(self, epoch: int, start: int = 0) -> Iterator[Draw]:
        """Yield an epoch's batches from number `start` on; keeps no position."""
        if not self.shuffle:
            epoch = _FIXED_EPOCH
        rows = self.plan.rows(epoch)
        seed = int(hashed(self.seed, epoch)[0] >> np.uint64(1))
        for number in range(start, len(self)):
            first, last = self._bounds(number)
            samples = rows[first:last].ravel()
            start, end = (len(samples) * part // self.parts for part in (self.part, self.part + 1))
            yield Draw(samples[start:end].tolist(), seed, first * rows.shape[1] + start)

    def begin(self) -> int:
        """Begin a pass and return its first batch's number, 0 unless `load_state_dict` said so."""
        self.batches_done = self.batches_done if self._resumed else 0
        self._resumed = False
        self._between_epochs = False
        return self.batches_done

    def advance(self) -> None:
        """Count one more batch as done."""
        self.batches_done += 1

    def finish(self, epoch: int) -> None:
        """Move on from `epoch` to the next, unless `set_epoch` already did."""
        if self.epoch == epoch:
            self._enter(epoch + 1)

    def _enter(self, epoch: int) -> None:
        self.epoch = epoch
        self.batches_done = 0
        self._resumed = False

    def _bounds(self, number: int) -> tuple[int, int]:
        if number < self._whole:
            first = (number * self.world_size + self.rank) * self.batch_size
            return first, first + self.batch_size
        first = self._whole * self.world_size * self.batch_size
        rest = len(self.plan) - first
        return (
            first + rest * self.rank // self.world_size,
            first + rest * (self.rank + 1) // self.world_size,
        )


class EvaluationSampler(Sampler[list[int]]):
    """Every sample once, in order, over all ranks together: rank r takes samples r, r + W, r + 2W,
    ...

    Nothing is padded, and every rank has the same number of batches (their sizes differ by one),
    since a rank with a batch more would wait for the others' forever. With fewer samples than ranks
    some get an empty batch.

    Args:
        size: number of samples.
        batch_size: samples in a batch, at most.
        rank: number of this process.
        world_size: number of processes.

    Example:
        >>> [list(EvaluationSampler(5, batch_size=2, rank=rank, world_size=2)) for rank in (0, 1)]
        [[[0, 2], [4]], [[1], [3]]]
    """

    def __init__(self, size: int, *, batch_size: int, rank: int = 0, world_size: int = 1):
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be in 0..world_size-1, got {rank} of {world_size}")
        self.indices = range(rank, size, world_size)
        self.batch_size = batch_size
        self._length = -(-size // (batch_size * world_size))

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[Draw]:
        if len(self) == 0:
            return
        for part in np.array_split(np.asarray(self.indices, dtype=np.int64), len(self)):
            yield Draw(part.tolist())
