"""What a batch of image pairs with masks is made of."""

from abc import abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor

from metric_lightning.data import Batch, LabelledDataset
from metric_lightning.data.dataset import seeded_map

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's pixels, on the scale 0..1: what published weights expect."""


class MaskedPairs(NamedTuple):
    """n pairs of pictures.

    Attributes:
        images: (n, 2, 3, h, w) float32, normalised.
        masks: (n, 2, h, w) bool, the objects of the class that both show.
        kinds: (n, 2, h, w) int64, what each pixel shows: 0 background, from 1 on kinds of objects, -1 undecided.
    """

    images: Tensor
    masks: Tensor
    kinds: Tensor


class PairDataset(LabelledDataset):
    """Pairs made one by one; a sample's label is the class that both pictures show.

    A subclass fills in `pair`.
    """

    @abstractmethod
    def pair(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return pictures (2, 3, h, w) uint8, masks (2, h, w) bool, kinds (2, h, w); random numbers are torch's."""

    def __getitem__(self, index: int) -> tuple[MaskedPairs, int]:
        return MaskedPairs(*(part[0] for part in self._prepared([self.pair(index)]))), int(self.labels[index])

    def __getitems__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices, dtype=torch.int64)
        return Batch(self._prepared(seeded_map(self.pair, indices)), self.labels[chosen], chosen)

    def _prepared(self, pairs: list[tuple[Tensor, Tensor, Tensor]]) -> MaskedPairs:
        images, masks, kinds = (torch.stack(part) for part in zip(*pairs, strict=True))
        mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
        return MaskedPairs((images.float() / 255 - mean) / std, masks, kinds)


def as_pictures(images: Tensor) -> Tensor:
    """Return normalised pictures (..., 3, h, w) as 8-bit ones, to be looked at."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (MEAN, STD))
    return ((images * std + mean) * 255).round().clamp(0, 255).to(torch.uint8)
