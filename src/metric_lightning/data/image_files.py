"""Pictures that stay in their files until they are needed."""

import copy
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import Transform, functional

from metric_lightning.data.dataset import LabelledDataset
from metric_lightning.errors import UserError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

Box = tuple[float, float, float, float]


class ImageFiles(LabelledDataset):
    """Pictures in files, decoded by whoever loads them: give the loader workers.

    A picture becomes RGB, is cut to its box where it has one, and goes through the augmentation, if any. One that is
    then not `size` x `size` pixels is scaled until its shorter side has `resize` pixels and cut to its middle `size` x
    `size`. Then (picture / 255 - mean) / std, float32.

    Args:
        paths: n files.
        labels: (n,) integers.
        class_names: of all classes.
        size: pixels a side of an input.
        resize: pixels of the shorter side before the middle is cut out, at least `size`.
        boxes: n boxes (left, top, right, bottom) in pixels of the file, right and bottom exclusive; None: whole
            pictures.
        mean: for each of three channels, on the scale 0..1; those of ImageNet.
        std: likewise.

    Raises:
        ValueError: not as many labels or boxes as paths, or `resize` less than `size`.
        UserError: a picture is missing or damaged, or its box lies outside (when it is loaded).

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (60, 40), "white").save(f"{folder}/a.png")
        ...     picture, label = ImageFiles([f"{folder}/a.png"], [0], ["a"], size=16, resize=20)[0]
        >>> picture.shape, label
        (torch.Size([3, 16, 16]), 0)
    """

    def __init__(
        self,
        paths: Sequence[str | os.PathLike[str]],
        labels: Tensor | Sequence[int],
        class_names: Sequence[str],
        size: int = 224,
        resize: int = 256,
        boxes: Sequence[Box] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ):
        super().__init__(labels, class_names, (3, size, size))
        if not len(self.labels) == len(paths) == (len(paths) if boxes is None else len(boxes)):
            raise ValueError(
                f"paths, labels and boxes must be equally many, got {len(paths)}, {len(self.labels)} and "
                f"{None if boxes is None else len(boxes)}"
            )
        if not 1 <= size <= resize:
            raise ValueError(f"size={size} must be at least 1 and at most resize={resize}")
        self.paths = [os.fspath(path) for path in paths]
        self.boxes = boxes
        self.size, self.resize = size, resize
        self._mean, self._std = (torch.tensor(values).view(3, 1, 1) for values in (mean, std))
        self._transforms: list[Transform] = []

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture = functional.pil_to_tensor(self._decoded(index))
        for transform in self._transforms:
            picture = transform(picture)
        return self._normalised(picture), int(self.labels[index])

    def augmented(self, transforms: Sequence[Transform]) -> "ImageFiles":
        other = copy.copy(self)
        other._transforms = [*self._transforms, *transforms]
        return other

    def input_of(self, image: Image.Image) -> Tensor:
        return self._normalised(functional.pil_to_tensor(image.convert("RGB")))

    def _decoded(self, index: int) -> Image.Image:
        path = self.paths[index]
        try:
            with Image.open(path) as file:
                picture = file.convert("RGB")
        except OSError as error:
            why = "is missing" if not Path(path).exists() else f"can't be read ({error})"
            raise UserError(f"picture {path} {why}; unpack the data again") from error
        if self.boxes is None:
            return picture
        left, top, right, bottom = (round(side) for side in self.boxes[index])
        box = (max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height))
        if box[0] >= box[2] or box[1] >= box[3]:
            raise UserError(
                f"the box {self.boxes[index]} lies outside of {path}, {picture.width}x{picture.height} pixels"
            )
        return picture.crop(box)

    def _normalised(self, picture: Tensor) -> Tensor:
        if tuple(picture.shape[-2:]) != (self.size, self.size):
            picture = functional.resize(picture, [self.resize], antialias=True)
            picture = functional.center_crop(picture, [self.size])
        # A transform may have scaled to 0..1 itself (ToDtype with scale).
        scaled = picture.float() / 255 if picture.dtype == torch.uint8 else picture
        return (scaled - self._mean) / self._std
