"""What ImageFolder and ImageTable share: a user's own pictures, checked, prepared as the backbone wants them."""

import os
from typing import Any, Literal

import torch
from lightning.pytorch.utilities import rank_zero_info
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import Transform

from metric_lightning.data.data_module import MetricDataModule
from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.data.decoded_cache import DecodedCache
from metric_lightning.data.given_parts import GivenParts, GroupedSplit
from metric_lightning.data.image_files import ImageFiles
from metric_lightning.data.image_presets import preset as preset_of
from metric_lightning.data.listing import Listing, some
from metric_lightning.data.picture_check import faults
from metric_lightning.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from metric_lightning.data.splits import SampleSplit, Split
from metric_lightning.data.strategy import BatchStrategy
from metric_lightning.errors import UserError

_MOST_WORKERS = 8
_WORTH_WORKERS = 500  # starting processes takes longer than decoding fewer pictures
_NAMED = 10  # bad pictures in a sentence


class OwnImages(MetricDataModule):
    """Pictures that a `Listing` names. Arguments: see `ImageFolder`.

    Attributes:
        listing: the files, labels and what else is known of them.
        faults: sentences on pictures that can't be used, by their place in the listing; known after `setup`.
    """

    def __init__(
        self,
        listing: Listing,
        batches: BatchStrategy | None,
        split: Split | None,
        augment: list[Transform] | None,
        preset: str | None,
        size: int | None,
        resize: int | None,
        mean: list[float] | None,
        std: list[float] | None,
        grey: bool,
        cache_dir: str | None,
        on_error: Literal["stop", "skip"],
        eval_batch_size: int,
        num_workers: int | None,
        seed: int | None,
        rotated_classes: bool,
        mirrored_classes: bool,
    ):
        if on_error not in ("stop", "skip"):
            raise ValueError(f'on_error must be "stop" or "skip", got {on_error!r}')
        self.listing = listing.require_two_classes()
        self.on_error = on_error
        self.faults: dict[int, str] = {}
        self._checked = False
        self._cache = None if cache_dir is None else DecodedCache(cache_dir)
        self._prepare = _preparation(preset, size, resize, mean, std, grey)
        side = self._prepare.size[0]
        super().__init__(
            class_names=listing.class_names,
            input_shape=(self._prepare.channels, side, side),
            batches=batches,
            split=_split(listing, split),
            augment=standard_augmentation(side) if augment is None else augment,
            eval_batch_size=eval_batch_size,
            num_workers=_workers(len(listing.paths)) if num_workers is None else num_workers,
            seed=seed,
            rotated_classes=rotated_classes,
            mirrored_classes=mirrored_classes,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        return self._dataset(list(range(len(self.listing.paths)))), None

    def load_test_gallery(self) -> LabelledDataset | None:
        parts = self.listing.parts or []
        places = [place for place, part in enumerate(parts) if part == "gallery" and place not in self.faults]
        return self._dataset(places) if places else None

    def usable(self, samples: Tensor) -> Tensor:
        """Leave out pictures that can't be used, where `on_error` says so.

        Raises:
            UserError: there are such, and it doesn't; all are named at once.
        """
        if not self._checked:
            self.faults = faults(self.listing.paths, self.listing.boxes)
            self._checked = True
            for note in self.listing.notes:
                rank_zero_info(note)
            self._tell_faults()
        bad = torch.tensor(sorted(self.faults), dtype=torch.int64)
        return samples[~torch.isin(samples, bad)]

    def preprocessing(self) -> dict[str, Any]:
        return self._prepare.as_dict()

    def _tell_faults(self) -> None:
        if not self.faults:
            return
        count, of = len(self.faults), len(self.listing.paths)
        said = f"{count} of {of} pictures of {self.listing.source} can't be used: {_list(self.faults)}"
        if self.on_error == "stop":
            raise UserError(f"{said}; mend them, or leave them out by on_error: skip")
        rank_zero_info(f"{said}; they are left out (on_error: skip).")

    def _dataset(self, places: list[int]) -> ImageFiles:
        listing, prepare = self.listing, self._prepare
        dataset = ImageFiles(
            [listing.paths[place] for place in places],
            [listing.labels[place] for place in places],
            self.own_class_names,
            prepare.size[0],
            prepare.resize,
            None if listing.boxes is None else [listing.boxes[place] for place in places],
            prepare.mean,
            prepare.std,
            prepare.channels,
            prepare.interpolation,
            self._cache,
        )
        if listing.cameras is not None:
            number = {name: place for place, name in enumerate(sorted(set(listing.cameras)))}
            dataset.groups = torch.tensor([number[listing.cameras[place]] for place in places])
        return dataset


def standard_augmentation(size: int) -> list[Transform]:
    """Return what photographs of things bear: a part of the picture, mirrored, with other light and colours.

    Example:
        >>> standard_augmentation(8)[0](torch.zeros(3, 40, 20).byte()).shape
        torch.Size([3, 8, 8])
    """
    return [
        v2.RandomResizedCrop(size, scale=(0.4, 1.0), antialias=True),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
    ]


def _preparation(
    preset: str | None,
    size: int | None,
    resize: int | None,
    mean: list[float] | None,
    std: list[float] | None,
    grey: bool,
) -> Preprocessing:
    base = Preprocessing(3, (224, 224), 256, IMAGENET_MEAN, IMAGENET_STD) if preset is None else preset_of(preset)
    side = base.size[0] if size is None else size
    if resize is None:
        # Another size keeps the margin that is cut away in proportion.
        resize = max(side, round((base.resize or side) * side / base.size[0]))
    channels = 1 if grey else 3
    own_mean, own_std = base.mean if mean is None else tuple(mean), base.std if std is None else tuple(std)
    if grey:
        own_mean, own_std = ((sum(values) / len(values),) for values in (own_mean, own_std))
    return Preprocessing(channels, (side, side), resize, own_mean, own_std, base.interpolation)


def _split(listing: Listing, split: Split | None) -> Split | None:
    if listing.groups is not None:
        if split is not None and type(split) is not SampleSplit:
            raise UserError(
                f"groups keep pictures together in a split by sample, not in {type(split).__name__}; leave one out"
            )
        if listing.parts is None:
            return GroupedSplit(listing.groups, SampleSplit() if split is None else split)
    if listing.parts is None:
        return split
    if split is not None and "val" in listing.parts:
        raise UserError(f"{listing.source} says itself which pictures train and validate; leave split out")
    if split is not None or "val" in listing.parts:
        return GivenParts(listing.labels, listing.parts, split)
    if "test" in listing.parts:
        return GivenParts(listing.labels, listing.parts, SampleSplit(validation_size=0.1))
    return GivenParts(listing.labels, listing.parts, SampleSplit())


def _workers(pictures: int) -> int:
    if pictures < _WORTH_WORKERS:
        return 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, _MOST_WORKERS)


def _list(found: dict[int, str]) -> str:
    return some([sentence.split(";")[0].removeprefix("picture ") for sentence in found.values()], _NAMED)
