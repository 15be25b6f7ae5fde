"""What a frozen trunk made of each input, in the inputs' place."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from metric_lightning.data.batch import Batch
from metric_lightning.data.dataset import LabelledDataset


class Features(LabelledDataset):
    """n features in memory, with the labels of the samples they were made of.

    Args:
        features: (n, F).
        labels: (n,).
        class_names: of all classes.

    Example:
        >>> Features(torch.arange(6.0).view(3, 2), [0, 1, 1], ["a", "b"]).__getitems__([2, 0]).inputs
        tensor([[4., 5.],
                [0., 1.]])
    """

    def __init__(self, features: Tensor, labels: Tensor | Sequence[int], class_names: Sequence[str]):
        super().__init__(labels, class_names, features.shape[1:])
        if len(features) != len(self.labels):
            raise ValueError(f"features must be as many as labels, got {len(features)} for {len(self.labels)}")
        self.features = features

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.features[index], int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        return Batch(self.features.index_select(0, chosen), self.labels[chosen], chosen)
