"""Samples that are seen in two ways."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchvision.transforms.v2 import Transform

from metric_lightning.data.batch import Batch
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.types import TwoViews


class TwoViewDataset(LabelledDataset):
    """Two data sets of the same samples side by side: inputs are `TwoViews`.

    Both views go through the augmentation, with the same random numbers for a sample, so that a picture and the points
    on it are turned alike.

    Args:
        first: the first view of every sample.
        second: the second view of the same samples, with the same labels.

    Raises:
        ValueError: labels that differ.

    Example:
        >>> from metric_lightning.data import ArrayDataset
        >>> view = ArrayDataset(torch.zeros(3, 1, 2, 2).byte(), [0, 1, 1])
        >>> data = TwoViewDataset(view, view)
        >>> data.input_shape, data.__getitems__([1, 2]).inputs.second.shape
        (((1, 2, 2), (1, 2, 2)), torch.Size([2, 1, 2, 2]))
    """

    def __init__(self, first: LabelledDataset, second: LabelledDataset):
        if not torch.equal(first.labels, second.labels):
            raise ValueError("both views must be of the same samples in the same order, but their labels differ")
        super().__init__(first.labels, first.class_names, (first.input_shape, second.input_shape))
        self.first, self.second = first, second

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return TwoViews(self.first[index][0], self.second[index][0]), int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        views = TwoViews(self.first.__getitems__(indices).inputs, self.second.__getitems__(indices).inputs)
        return Batch(views, self.labels[chosen], chosen)

    @property
    def turnable(self) -> bool:
        """Whether both views are."""
        return self.first.turnable and self.second.turnable

    def turned(self, inputs: TwoViews, quarters: Tensor) -> TwoViews:
        return TwoViews(self.first.turned(inputs.first, quarters), self.second.turned(inputs.second, quarters))

    @property
    def mirrorable(self) -> bool:
        """Whether both views are."""
        return self.first.mirrorable and self.second.mirrorable

    def mirrored(self, inputs: TwoViews, chosen: Tensor) -> TwoViews:
        return TwoViews(self.first.mirrored(inputs.first, chosen), self.second.mirrored(inputs.second, chosen))

    def augmented(self, transforms: Sequence[Transform]) -> "TwoViewDataset":
        return TwoViewDataset(self.first.augmented(transforms), self.second.augmented(transforms))
