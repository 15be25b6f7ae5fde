"""Folds over classes."""

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from metric_lightning.data.randomness import generator
from metric_lightning.data.splits.base import Split, SplitClasses, SplitSamples
from metric_lightning.data.splits.classes import samples_of
from metric_lightning.data.strategy import require_seed
from metric_lightning.errors import UserError


class ClassFold(Split):
    """k-fold over classes: `fold` is tested, the next fold validates, the others train;
    class-disjoint.

    Over all folds each class is tested once. Folds differ by at most one class.

    Args:
        fold: 0..n_folds-1.
        n_folds: at least 3; 2 where there is no validation part.
        validation: False trains on the validation fold too.
        seed: of the draw of the folds.

    Raises:
        ValueError: no such fold, or too few folds.
        UserError: more folds than classes (from `classes`).

    Example:
        >>> folds = [ClassFold(fold, n_folds=3).classes("abcdef").test for fold in range(3)]
        >>> [len(fold) for fold in folds], sorted(sum(folds, []))
        ([2, 2, 2], [0, 1, 2, 3, 4, 5])
    """

    def __init__(self, fold: int, n_folds: int = 4, validation: bool = True, seed: int = 0):
        least = 3 if validation else 2
        if n_folds < least:
            raise ValueError(f"n_folds must be at least {least} (validation={validation}), got {n_folds}")
        if not 0 <= fold < n_folds:
            raise ValueError(f"fold must be 0..{n_folds - 1}, got {fold}")
        self.fold = fold
        self.n_folds = n_folds
        self.validation = validation
        self.seed = require_seed(seed)

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        if len(class_names) < self.n_folds:
            raise UserError(f"n_folds is {self.n_folds}, but there are only {len(class_names)} classes")
        order = generator(self.seed).permutation(len(class_names))
        folds = [sorted(part.tolist()) for part in np.array_split(order, self.n_folds)]
        folds = folds[self.fold :] + folds[: self.fold]
        used = 2 if self.validation else 1
        validation = folds[1] if self.validation else []
        return SplitClasses(sorted(sum(folds[used:], [])), validation, folds[0])

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        return samples_of(self.classes(class_names), labels, test_labels)
