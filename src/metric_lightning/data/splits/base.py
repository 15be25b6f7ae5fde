"""What a split is: which classes, and which samples, each part holds."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor

from metric_lightning.parts import Part


class SplitClasses(NamedTuple):
    """Class numbers of each part, ascending; disjoint unless the split is by sample."""

    train: list[int]
    validation: list[int]
    test: list[int]


class SplitSamples(NamedTuple):
    """Sample numbers of each part, ascending; `test` counts in the test set if there is one."""

    train: Tensor
    validation: Tensor
    test: Tensor


class Split(Part, ABC):
    """How a data module parts its samples; named in YAML under `data.split`.

    A split has a seed of its own, so that runs with other batches are compared on the same parts.
    """

    @abstractmethod
    def classes(self, class_names: Sequence[str]) -> SplitClasses:
        """Return which classes each part may hold; needs no data.

        Raises:
            UserError: there are no such classes, or too few.
        """

    @abstractmethod
    def samples(self, labels: Tensor, test_labels: Tensor | None, class_names: Sequence[str]) -> SplitSamples:
        """Return which samples each part holds.

        Args:
            labels: (n,) of all samples, but for those of a test set that comes with the data.
            test_labels: (m,) of that test set; None where the test part is to be cut from `labels`.
            class_names: of all classes.

        Raises:
            UserError: too few samples.
        """
