"""Labelled data that go through random transforms."""

import copy
from abc import ABC
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torchvision.transforms.v2 import Transform
from typing_extensions import Self

from metric_lightning.data.dataset import LabelledDataset


class AugmentableDataset(LabelledDataset, ABC):
    """A labelled data set that keeps transforms; a subclass puts what they take through `transformed`.

    Arguments are those of `LabelledDataset`.
    """

    def __init__(self, labels: Tensor | Sequence[int], class_names: Sequence[str], input_shape: Sequence[Any]):
        super().__init__(labels, class_names, input_shape)
        self._transforms: list[Transform] = []

    def augmented(self, transforms: Sequence[Transform]) -> Self:
        other = copy.copy(self)
        other._transforms = [*self._transforms, *transforms]
        return other

    def transformed(self, raw: Any) -> Any:
        """Return what comes out when a raw input goes through all transforms, one after the other."""
        for transform in self._transforms:
            raw = transform(raw)
        return raw
