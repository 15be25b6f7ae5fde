"""Splits by sample: every class in every part."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metric_lightning.data.splits.base import Split, SplitClasses, SplitSamples
from metric_lightning.data.splits.stratified import require_size, stratified_draw
from metric_lightning.data.strategy import require_seed
from metric_lightning.errors import UserError


class SampleSplit(Split):
    """Stratified by class: each part has its share of every class, as exactly as whole numbers
    allow.

    Every class keeps at least one sample for training.

    Args:
        validation_size: samples (int) or share of all (float below 1) taken from the training data.
        test_size: likewise, for data that come without a test set of their own; None: none is cut,
            or 0.2 where the data have no test set.
        seed: of the draw.

    Raises:
        ValueError: a negative size, or a share of 1 and more.
        UserError: too few samples for the sizes; `test_size` for data with their own test set (from
            `samples`).

    Example:
        >>> labels = torch.arange(40) % 4
        >>> parts = SampleSplit(validation_size=4, test_size=0.25).samples(labels, None, "abcd")
        >>> [len(part) for part in parts], labels[parts.test].bincount().tolist()
        ([26, 4, 10], [2, 2, 3, 3])
    """

    def __init__(
        self,
        validation_size: int | float = 0.1,
        test_size: int | float | None = None,
        seed: int = 0,
    ):
        self.validation_size = require_size("validation_size", validation_size)
        self.test_size = None if test_size is None else require_size("test_size", test_size)
        self.seed = require_seed(seed)

    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        every = list(range(len(class_names)))
        return SplitClasses(every, every, every)

    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        every = torch.arange(len(labels))
        if test_labels is not None:
            if self.test_size is not None:
                raise UserError(
                    f"test_size is {self.test_size}, but these data have a test set of their own; leave it out"
                )
            test, rest = torch.arange(len(test_labels)), every
        else:
            size = 0.2 if self.test_size is None else self.test_size
            test, rest = stratified_draw(labels, size, self.seed)
        validation_size = self.validation_size
        if isinstance(validation_size, float):
            validation_size = round(validation_size * len(labels))
        # The test part doesn't depend on the size of the validation part: results stay comparable.
        validation, train = stratified_draw(labels[rest], validation_size, self.seed + 1)
        return SplitSamples(rest[train], rest[validation], test)
