"""Pictures that stay in their files until they are needed."""

import hashlib
import os
from collections.abc import Sequence
from typing import Any, Literal

from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional

from metric_lightning.data.augmentable_dataset import AugmentableDataset
from metric_lightning.data.decoded_cache import DecodedCache
from metric_lightning.data.pictures import open_picture, require_shape
from metric_lightning.data.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from metric_lightning.errors import UserError
from metric_lightning.printable import printable

Box = tuple[float, float, float, float]


class ImageFiles(AugmentableDataset):
    """Pictures in files, decoded by whoever loads them: give the loader workers.

    A picture becomes plain RGB (or grey, see `plain_picture`), is cut to its box where it has one, and goes through
    the augmentation, if any. One that is then not `size` x `size` pixels is scaled until its shorter side has
    `resize` pixels and cut to its middle `size` x `size`. Then (picture / 255 - mean) / std, float32.

    Args:
        paths: n files.
        labels: (n,) integers.
        class_names: of all classes.
        size: pixels a side of an input.
        resize: pixels of the shorter side before the middle is cut out, at least `size`; None: a picture is scaled to
            `size` x `size` whatever its shape.
        boxes: n boxes (left, top, right, bottom) in pixels of the picture as it is seen (turned as its EXIF says),
            right and bottom exclusive, cut at its edges; None: whole pictures.
        mean: for each of the channels, on the scale 0..1; those of ImageNet.
        std: likewise.
        channels: 3 (RGB) or 1 (grey).
        interpolation: "bilinear" or "bicubic".
        cache: where decoded pictures are kept, `resize` pixels at their shorter side; None: decoded each time.

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
        resize: int | None = 256,
        boxes: Sequence[Box] | None = None,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        channels: int = 3,
        interpolation: Literal["bilinear", "bicubic"] = "bilinear",
        cache: DecodedCache | None = None,
    ):
        super().__init__(labels, class_names, (channels, size, size))
        if not len(self.labels) == len(paths) == (len(paths) if boxes is None else len(boxes)):
            raise ValueError(
                f"paths, labels and boxes must be equally many, got {len(paths)}, {len(self.labels)} and "
                f"{None if boxes is None else len(boxes)}"
            )
        self.paths = [os.fspath(path) for path in paths]
        self.boxes = boxes
        self.cache = cache
        self._prepare = Preprocessing(channels, (size, size), resize, tuple(mean), tuple(std), interpolation)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        picture = self.transformed(self.decoded(index))
        return self._prepare.normalised(self._prepare.fitted(picture)), int(self.labels[index])

    def input_of(self, image: Image.Image) -> Tensor:
        return self._prepare(image)

    def preprocessing(self) -> Preprocessing:
        return self._prepare

    def name_of(self, index: int) -> str:
        return self.paths[index]

    def identity(self) -> str | None:
        """Return a digest of all names, sizes and times of change, boxes, and of how pictures are prepared."""
        digest = hashlib.blake2b(repr((self._prepare, len(self))).encode(), digest_size=16)
        for index, path in enumerate(self.paths):
            try:
                state = os.stat(path)
            except OSError:
                return None
            box = None if self.boxes is None else self.boxes[index]
            digest.update(repr((os.path.abspath(path), state.st_size, state.st_mtime_ns, box)).encode())
        return None if self._transforms else digest.hexdigest()

    def digest_of(self, index: int) -> bytes | None:
        if self._transforms:
            return None
        try:
            with open(self.paths[index], "rb") as file:
                digest = hashlib.blake2b(file.read(), digest_size=16)
        except OSError:
            return None
        digest.update(repr(None if self.boxes is None else self.boxes[index]).encode())
        return digest.digest()

    def path_of(self, index: int) -> str:
        return self.paths[index]

    def decoded(self, index: int) -> Tensor:
        """Return a picture (channels, height, width), 8-bit, cut to its box: as augmentation gets it.

        Raises:
            UserError: it is missing or damaged, or its box lies outside.
        """
        if self.cache is None:
            return self._from_file(index)
        box = None if self.boxes is None else self.boxes[index]
        return self.cache.picture(self.paths[index], box, self._prepare, lambda: self._from_file(index))

    def _from_file(self, index: int) -> Tensor:
        path = self.paths[index]
        picture = open_picture(path, self._prepare.channels)
        if self.boxes is not None:
            picture = picture.crop(cut(self.boxes[index], picture.size, path))
        return functional.pil_to_tensor(picture)


def cut(box: Box, size: tuple[int, int], path: str) -> tuple[int, int, int, int]:
    """Return the part of a box that lies in a picture of (width, height) pixels, in whole pixels.

    Raises:
        UserError: none does, or it can't be scaled, see `require_shape`.

    Example:
        >>> cut((-3.0, 1.0, 5.4, 99.0), (10, 8), "a.png")
        (0, 1, 5, 8)
    """
    left, top, right, bottom = (round(side) for side in box)
    width, height = size
    inside = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    if inside[0] >= inside[2] or inside[1] >= inside[3]:
        raise UserError(
            f"the box {box} lies outside of {printable(path)}, {width}x{height} pixels; a box is (left, top, right, "
            "bottom) in pixels of the picture as it is seen"
        )
    try:
        require_shape(inside[2] - inside[0], inside[3] - inside[1])
    except UserError as error:
        raise UserError(f"the box {box} of {printable(path)} {error}") from error
    return inside
