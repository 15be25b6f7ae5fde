"""What a batch strategy is."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor

from metric_lightning.data.sampler import BatchSampler, EpochPlan
from metric_lightning.errors import UserError
from metric_lightning.parts import Part


class BatchStrategy(Part, ABC):
    """How training batches are drawn from a labelled data set; a part that YAML names under
    `data.batches`.

    A subclass says what an epoch holds (`plan`); sharing it out over ranks, seeding and resuming
    are done here. Labels are all a strategy sees: drawing loads no input.

    Attributes:
        tuple_size: samples that belong together: 1, or 2 for pairs, 3 for triplets. Batches are
            flat.
        batch_size: rows of the plan in a batch: samples, pairs or triplets.
        drop_last: whether a smaller last batch is left out.
        shared_size: samples of a batch that all ranks share, each its part; None: each rank takes batches of its own.

    Example:
        >>> import numpy as np, torch
        >>> class Backwards(BatchStrategy):
        ...     def __init__(self, batch_size: int = 2):
        ...         self.batch_size = batch_size
        ...     def plan(self, labels, seed):
        ...         return BackwardsPlan(len(labels))
        >>> class BackwardsPlan(EpochPlan):
        ...     def __init__(self, size):
        ...         self.size = size
        ...     def __len__(self):
        ...         return self.size
        ...     def rows(self, epoch):
        ...         return np.arange(self.size)[::-1, None]
        >>> list(Backwards().sampler(torch.zeros(5)))
        [[4, 3], [2, 1], [0]]
    """

    tuple_size: ClassVar[int] = 1
    batch_size: int = 1
    drop_last: bool = False
    shared_size: int | None = None

    @abstractmethod
    def plan(self, labels: Tensor, seed: int) -> EpochPlan:
        """Return what each epoch holds, for labels (n,) and a seed >= 0.

        Raises:
            UserError: such batches can't be drawn from these labels.
        """

    def unshuffled_plan(self, labels: Tensor, seed: int) -> EpochPlan:
        """Return what `shuffle=False` draws one epoch of, forever: by default the plan itself."""
        return self.plan(labels, seed)

    def sampler(
        self,
        labels: Tensor,
        *,
        seed: int = 0,
        shuffle: bool = True,
        rank: int = 0,
        world_size: int = 1,
    ) -> BatchSampler:
        """Return the batch sampler of one rank.

        Args:
            labels: (n,) integers.
            seed: 0..2^63-1; same seed, same batches; every epoch has other batches.
            shuffle: False gives the same batches in every epoch, for evaluation.
            rank: number of this process.
            world_size: number of processes; all ranks have the same number of batches.

        Raises:
            UserError: such batches can't be drawn from these labels, or not be shared evenly by so many ranks.
        """
        require_seed(seed)
        shared = self.shared_size
        if shared is not None and shared % world_size:
            raise UserError(
                f"{type(self).__name__}: a batch of {shared} samples can't be shared evenly by {world_size} ranks; "
                f"make its size a multiple of {world_size}, or set shard to false (each rank then draws a batch of "
                "its own)"
            )
        plan = self.plan(labels, seed) if shuffle else self.unshuffled_plan(labels, seed)
        return BatchSampler(
            plan,
            batch_size=self.batch_size,
            drop_last=self.drop_last,
            seed=seed,
            shuffle=shuffle,
            rank=rank,
            world_size=world_size,
            shard=shared is not None,
        )


def require_at_least(name: str, value: int, least: int) -> int:
    """Return `value`, or raise ValueError that names the argument.

    Example:
        >>> require_at_least("batch_size", 0, 1)
        Traceback (most recent call last):
        ValueError: batch_size must be at least 1, got 0
    """
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    return value


def require_seed(value: int) -> int:
    """Return `value`, or raise ValueError where it is no seed."""
    if not 0 <= value < 1 << 63:
        raise ValueError(f"seed must be 0..2^63-1, got {value}")
    return value
