"""Batches of a fixed number of classes with a fixed number of samples each."""

from typing import Literal

import numpy as np
from torch import Tensor

from metric_lightning.data.class_index import ClassIndex
from metric_lightning.data.randomness import Integers, generator, hashed
from metric_lightning.data.sampler import EpochPlan
from metric_lightning.data.strategy import BatchStrategy, require_at_least
from metric_lightning.errors import UserError

_CLASSES, _CLASSES_AGAIN, _SAMPLES = range(3)  # purposes of random bits


class BalancedBatches(BatchStrategy):
    """`n_classes` classes with `n_samples` samples each: the batches that online mining needs.

    A batch is always full, and holds no sample twice unless its class has fewer than `n_samples`.
    Samples of a class stand side by side.

    - Classes take turns: each comes once before any comes again (a few come twice where `n_classes`
      doesn't divide the number of classes, another few each time).
    - Within a class samples take turns: all of them come before any comes again, but that the last
      group of a turn is filled up with samples of the same turn. Turns go on over the epochs, so
      that every sample of a large class is seen however short an epoch is.

    On W ranks each takes every W-th batch, balanced by itself, so the global batch is W times as
    large; epochs are cut to a multiple of W batches. One process sees the same with
    `draws_per_batch: W`. With `shard` they share every batch instead: each takes a W-th of it, the
    next of its samples as they stand, so that the batch, the epoch and the result are those of one
    process whatever the number of ranks.

    Args:
        n_classes: classes in a batch, at least 2.
        n_samples: samples of each class in a batch.
        rare_classes: what happens to a class with fewer than `n_samples` samples. "repeat": its
            samples are repeated, as evenly as can be; "leave_out": it is never drawn.
        batches_per_epoch: over all ranks. None: samples that can be drawn // batch size, at least
            1.
        draws_per_batch: how many such batches, one after the other, make one; k lets one process train on what k
            ranks would see. Epochs are cut to a multiple of it.
        shard: whether ranks share each batch. Its size must be a multiple of their number; whole classes stay on a
            rank where `n_classes` is one too.

    Raises:
        ValueError: a number below its least, or another word for `rare_classes`.
        UserError: fewer than `n_classes` classes can be drawn (from `sampler`), or ranks can't share a batch evenly.

    References:
        Hermans, Beyer, Leibe. In Defense of the Triplet Loss for Person Re-Identification. 2017.
        "PK batches".

    Example:
        >>> import torch
        >>> labels = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2])
        >>> batches = BalancedBatches(n_classes=3, n_samples=1).sampler(labels, seed=0)
        >>> len(batches), [sorted(labels[batch].tolist()) for batch in batches]
        (3, [[0, 1, 2], [0, 1, 2], [0, 1, 2]])
        >>> BalancedBatches(n_classes=4, n_samples=1).sampler(labels)
        Traceback (most recent call last):
        metric_lightning.errors.UserError: n_classes is 4, but the training data has 3 classes to
        draw from...
    """

    def __init__(
        self,
        n_classes: int,
        n_samples: int,
        rare_classes: Literal["repeat", "leave_out"] = "repeat",
        batches_per_epoch: int | None = None,
        draws_per_batch: int = 1,
        shard: bool = False,
    ):
        if rare_classes not in ("repeat", "leave_out"):
            raise ValueError(f'rare_classes must be "repeat" or "leave_out", got {rare_classes!r}')
        if batches_per_epoch is not None:
            require_at_least("batches_per_epoch", batches_per_epoch, 1)
        self.n_classes = require_at_least("n_classes", n_classes, 2)
        self.n_samples = require_at_least("n_samples", n_samples, 1)
        self.rare_classes = rare_classes
        self.batches_per_epoch = batches_per_epoch
        # A row of the plan is a whole draw; what doesn't make a round of all ranks is cut.
        self.batch_size = require_at_least("draws_per_batch", draws_per_batch, 1)
        self.drop_last = True
        self.shared_size = n_classes * n_samples * draws_per_batch if shard else None

    def plan(self, labels: Tensor, seed: int) -> EpochPlan:
        index = ClassIndex(labels)
        least = 1 if self.rare_classes == "repeat" else self.n_samples
        classes = np.flatnonzero(index.sizes >= least)
        if len(classes) < self.n_classes:
            left_out = len(index.sizes) - len(classes)
            rare = f" ({left_out} left out for fewer than {self.n_samples} samples)" * (left_out > 0)
            raise UserError(
                f"n_classes is {self.n_classes}, but the training data has {len(classes)} classes to draw "
                f"from{rare}; give BalancedBatches a smaller n_classes"
            )
        samples = int(index.sizes[classes].sum())
        batches = self.batches_per_epoch or max(1, samples // (self.n_classes * self.n_samples))
        return _Balanced(index, classes, self.n_classes, self.n_samples, batches, seed)


class _Balanced(EpochPlan):
    """Computed from (seed, epoch): no queue is kept, so any epoch can be entered at once."""

    def __init__(
        self,
        index: ClassIndex,
        classes: Integers,
        n_classes: int,
        n_samples: int,
        batches: int,
        seed: int,
    ):
        self.index = index
        self.turns = _ClassTurns(len(classes), n_classes, seed)
        self.sizes = index.sizes[classes]
        self.starts = index.starts[classes]
        self.groups = -(-self.sizes // n_samples)  # groups in one turn of a class's samples
        self.n_samples = n_samples
        self.batches = batches
        self.seed = seed

    def __len__(self) -> int:
        return self.batches

    def rows(self, epoch: int) -> Integers:
        classes, occurrence = self.turns.batches(epoch * self.batches, self.batches)
        turn, group = np.divmod(occurrence, self.groups[classes])
        samples, offsets = self._shuffled(classes, turn)
        place = group[..., None] * self.n_samples + np.arange(self.n_samples)
        place %= self.sizes[classes][..., None]
        return samples[offsets[..., None] + place].reshape(self.batches, -1)

    def _shuffled(self, classes: Integers, turn: Integers) -> tuple[Integers, Integers]:
        """Return the samples of every (class, turn), shuffled, and where each's samples begin."""
        many = int(turn.max()) + 1
        lines, line_of = np.unique(classes * many + turn, return_inverse=True)
        line_class, line_turn = np.divmod(lines, many)
        sizes = self.sizes[line_class]
        offsets = np.cumsum(sizes) - sizes
        line = np.repeat(np.arange(len(lines)), sizes)
        within = np.arange(len(line)) - offsets[line]
        samples = self.index.members[self.starts[line_class][line] + within]
        bits = hashed(self.seed, _SAMPLES, line_turn[line], samples)
        # One sort by (line, random bits): both fit into 63 bits.
        free = 63 - len(lines).bit_length()
        keys = (line << free) | (bits >> np.uint64(64 - free)).astype(np.int64)
        return samples[np.argsort(keys, kind="stable")], offsets[line_of.reshape(classes.shape)]


class _ClassTurns:
    """An endless sequence of batches of distinct classes in which each class comes once a turn.

    A turn is ceil(C / n) batches. Its `spare` places are filled by classes that take turns in that
    on a ring, in closed form: how often a class came before is known without going through the
    past.
    """

    def __init__(self, n_all: int, n_batch: int, seed: int):
        self.n_all = n_all
        self.n_batch = n_batch
        self.length = -(-n_all // n_batch)
        self.spare = self.length * n_batch - n_all
        self.seed = seed
        self.ring = generator(seed).permutation(n_all)
        self.ring_place = np.argsort(self.ring)

    def batches(self, first: int, count: int) -> tuple[Integers, Integers]:
        """Return the classes of `count` batches from `first` on, and how often each came before.

        Both are (count, n).
        """
        first_turn, last_turn = first // self.length, (first + count - 1) // self.length
        sequence = self._orders(np.arange(first_turn, last_turn + 1)).ravel()
        # How often each entry's class came before in this sequence: its place among its equals.
        order = np.argsort(sequence, kind="stable")
        counts = np.bincount(sequence, minlength=self.n_all)
        before = np.empty_like(sequence)
        before[order] = np.arange(len(sequence)) - np.repeat(np.cumsum(counts) - counts, counts)
        # And before the sequence: once a turn, and by its place on the ring of those that filled up.
        filled = first_turn * self.spare
        before += first_turn + (filled + self.n_all - 1 - self.ring_place[sequence]) // self.n_all
        start = first - first_turn * self.length
        window = slice(start, start + count)
        return (
            sequence.reshape(-1, self.n_batch)[window],
            before.reshape(-1, self.n_batch)[window],
        )

    def _orders(self, turns: Integers) -> Integers:
        """Return (turns, length * n_batch) classes."""
        bits = hashed(self.seed, _CLASSES, turns[:, None], np.arange(self.n_all))
        if self.spare == 0:
            return np.argsort(bits, axis=1)
        extra = self.ring[(turns[:, None] * self.spare + np.arange(self.spare)) % self.n_all]
        # The last batch holds the extra classes, so its own must be others: those with the largest bits.
        np.put_along_axis(bits, extra, np.uint64(0), axis=1)
        order = np.argsort(bits, axis=1)
        own = self.n_batch - self.spare
        body, tail = order[:, :-own], order[:, -own:]
        again = hashed(self.seed, _CLASSES_AGAIN, turns[:, None], body)
        body = np.take_along_axis(body, np.argsort(again, axis=1), axis=1)
        return np.concatenate([body, tail, extra], axis=1)
