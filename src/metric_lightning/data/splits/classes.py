"""Classes of a split: their numbers, and their samples."""

from collections.abc import Sequence

import torch
from torch import Tensor

from metric_lightning.data.splits.base import SplitClasses, SplitSamples
from metric_lightning.errors import UserError

_MOST_NAMES = 100  # in a message


def samples_of(classes: SplitClasses, labels: Tensor, test_labels: Tensor | None) -> SplitSamples:
    """Return the samples of each part's classes; test classes' from the test set, if there is one."""

    def chosen(of: Tensor, numbers: list[int]) -> Tensor:
        return torch.isin(of, torch.tensor(numbers, dtype=torch.int64)).nonzero().flatten()

    return SplitSamples(
        chosen(labels, classes.train),
        chosen(labels, classes.validation),
        chosen(labels if test_labels is None else test_labels, classes.test),
    )


def class_numbers(wanted: list[int | str], class_names: Sequence[str]) -> list[int]:
    """Return the numbers of classes that are given by number or name; raise UserError for one that is not there."""
    number_of = {name: number for number, name in reversed(list(enumerate(class_names)))}
    numbers = []
    for item in wanted:
        number = number_of.get(item, item) if isinstance(item, str) else item
        if not isinstance(number, int) or not 0 <= number < len(class_names):
            names = ", ".join(class_names[:_MOST_NAMES]) + ", ..." * (len(class_names) > _MOST_NAMES)
            raise UserError(f"there is no class {item!r}; the classes are {names}")
        numbers.append(number)
    return numbers
