"""People (or anything else) of a video as classes: crops of annotated boxes, parted by time and identity."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms.v2 import Transform

from metric_lightning.applications.tracking.detections import Detections, between, read_detections
from metric_lightning.applications.tracking.video import crops
from metric_lightning.data import ArrayDataset, BatchStrategy, ClassSplit, LabelledDataset, MetricDataModule
from metric_lightning.data.randomness import generator
from metric_lightning.data.strategy import require_at_least
from metric_lightning.errors import UserError

_MEAN, _STD = 0.4, 0.25  # of outdoor crops, roughly; the same for all videos, so that a checkpoint serves another


class VideoIdentities(MetricDataModule):
    """Crops of a video's annotated boxes; a class is an identity.

    Parted by time and by identity at once: all boxes after frame `train_until` are the test part; identities that have
    a box there train nothing and validate nothing, whenever they were first seen. Of the other identities, some
    validate and the rest train. Boxes that an evaluation ignores (conf 0) are left out.

    Args:
        video: path of a file that OpenCV reads.
        annotations: path of boxes with identities, see `read_detections`.
        train_until: last frame of the time to train on, counted from 1.
        validation_identities: how many (drawn at random) of the identities of that time validate, or which.
        split_seed: of that draw.
        size: (height, width) of a crop.
        margin: share of a box added on each side.
        interpolate: train also on the frames between two annotated ones at most 10 frames apart, boxes on a straight
            line.
        batches: how training batches are drawn. None: `PlainBatches()`.
        augment: torchvision v2 transforms that each training crop goes through, in order, as 8-bit tensor.
        eval_batch_size: crops in a batch of the other loaders.
        num_workers: processes that load; 0 (load in this one) is best for data in memory.
        seed: of batches and augmentation, not of the split. None: the one given to `seed_everything`, else 0.

    Attributes:
        annotated: all boxes that count.

    Raises:
        DataNotFound: there is no such video (from `setup`) or file of boxes (from the constructor).
        UserError: too few identities for the parts.
        ValueError: an argument outside its range.

    References:
        The protocol of identities and time kept apart is ours; MOT benchmarks part by whole videos.
    """

    def __init__(
        self,
        video: str = "data/tracking/vtest.avi",
        annotations: str = "data/tracking/ground_truth.csv",
        train_until: int = 405,
        validation_identities: int | list[int] = 3,
        split_seed: int = 0,
        size: tuple[int, int] = (64, 32),
        margin: float = 0.1,
        interpolate: bool = True,
        batches: BatchStrategy | None = None,
        augment: list[Transform] | None = None,
        eval_batch_size: int = 512,
        num_workers: int = 0,
        seed: int | None = None,
    ):
        if margin < 0:
            raise ValueError(f"margin must be at least 0, got {margin}")
        self.video, self.margin, self.interpolate = video, margin, interpolate
        self.size = (require_at_least("size", size[0], 1), require_at_least("size", size[1], 1))
        found = read_detections(annotations)
        self.annotated = found.where(found.considered)
        self.train_until = train_until
        parts = identity_parts(self.annotated, train_until, validation_identities, split_seed)
        self.train_identities, self.validation_identities, self.test_identities = parts
        names = [[str(identity) for identity in part] for part in parts]
        super().__init__(
            class_names=[name for part in names for name in part],
            input_shape=(3, *self.size),
            batches=batches,
            split=ClassSplit([*names[0]], [*names[1]], [*names[2]]),
            augment=augment,
            eval_batch_size=eval_batch_size,
            num_workers=num_workers,
            seed=seed,
        )

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        is_early = self.annotated.frames <= self.train_until
        early, late = self.annotated.where(is_early), self.annotated.where(~is_early)
        training = early.where(np.isin(early.identities, self.train_identities))
        validation = early.where(np.isin(early.identities, self.validation_identities))
        if self.interpolate:
            training = between(training)
        kept = Detections(*(np.concatenate(columns) for columns in zip(training, validation, late, strict=True)))
        number_of = {int(name): number for number, name in enumerate(self.own_class_names)}
        labels = torch.tensor([number_of[int(identity)] for identity in kept.identities])
        images = crops(Path(self.video), kept.frames, kept.boxes, self.size, self.margin)
        return ArrayDataset(images, labels, self.own_class_names, _MEAN, _STD), None


def identity_parts(
    detections: Detections, train_until: int, validation_identities: int | list[int], seed: int = 0
) -> tuple[list[int], list[int], list[int]]:
    """Return the identities that train, validate and test, each ascending; see `VideoIdentities`.

    Raises:
        UserError: none is left to train or to test, or a named one may not validate.

    Example:
        >>> frames, identities = np.array([1, 1, 2, 3, 9]), np.array([3, 4, 5, 6, 4])
        >>> seen = Detections(frames, identities, np.zeros((5, 4)), np.ones(5, dtype=bool))
        >>> identity_parts(seen, train_until=5, validation_identities=[5])
        ([3, 6], [5], [4])
    """
    late = _different(detections.identities[detections.frames > train_until])
    free = sorted(set(_different(detections.identities)) - set(late))
    if isinstance(validation_identities, int):
        require_at_least("validation_identities", validation_identities, 0)
        wanted = [free[place] for place in generator(seed).permutation(len(free))[:validation_identities]]
    else:
        wanted = validation_identities
    unknown = sorted(set(wanted) - set(free))
    if unknown:
        raise UserError(
            f"identity {unknown[0]} can't validate: it has no box up to frame {train_until} or one after it; "
            f"there are {', '.join(map(str, free)) or 'none'}"
        )
    training = sorted(set(free) - set(wanted))
    if len(training) < 2 or not late:
        raise UserError(
            f"train_until={train_until} leaves {len(training)} identities to train on and {len(late)} to test; "
            "at least 2 and 1 are needed: move it, or let fewer identities validate"
        )
    return training, sorted(wanted), late


def normalised(images: torch.Tensor) -> torch.Tensor:
    """Return 8-bit crops as the networks of this data see them."""
    return (images.float() / 255 - _MEAN) / _STD


def _different(identities: NDArray[np.int64]) -> list[int]:
    return [int(identity) for identity in np.unique(identities)]
