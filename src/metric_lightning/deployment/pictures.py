"""Pictures to embed: files, PIL images, arrays or tensors, decoded and prepared a batch at a time."""

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from metric_lightning.data.picture_walk import SUFFIXES, pictures_below
from metric_lightning.data.pictures import open_picture, plain_picture, reason_of
from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.errors import UserError
from metric_lightning.printable import printable


class PictureBatch(NamedTuple):
    """Some of the pictures, prepared but for the normalisation.

    Attributes:
        pixels: (n, C, H, W) uint8, of those that can be read.
        positions: n positions of these among all pictures.
        faults: one sentence for each of the others.
    """

    pixels: Tensor
    positions: list[int]
    faults: list[str]


def picture_batches(
    pictures: Sequence[Any], preprocessing: Preprocessing, batch_size: int = 256, num_workers: int = 0
) -> Iterator[PictureBatch]:
    """Return all pictures once, in order; nothing but the batches at hand is held in memory.

    Args:
        pictures: see `opened`.
        preprocessing: of the model.
        batch_size: pictures in a batch, at most.
        num_workers: processes that decode; 0: this one.

    Raises:
        ValueError: see `require_batches`.
    """
    require_batches(batch_size, num_workers)
    prepared = _Prepared(pictures, preprocessing)
    generator = torch.Generator()  # else the workers' seeds are drawn from the user's random numbers
    loader = DataLoader(
        prepared, batch_size, num_workers=num_workers, collate_fn=_batch, generator=generator, persistent_workers=False
    )
    for batch in loader:
        pixels, positions, faults = batch
        empty = torch.empty(0, *preprocessing.input_shape, dtype=torch.uint8)
        yield PictureBatch(torch.stack(pixels) if pixels else empty, positions, faults)


def require_batches(batch_size: int, num_workers: int) -> None:
    """Refuse batches that can't be.

    Raises:
        ValueError: `batch_size` below 1, or `num_workers` below 0.
    """
    if batch_size < 1 or num_workers < 0:
        raise ValueError(f"batch_size={batch_size} must be at least 1, and num_workers={num_workers} at least 0")


def pictures_in(folder: str | os.PathLike[str]) -> list[Path]:
    """Return all picture files below a folder, known by their suffix, sorted; see `pictures_below`.

    Raises:
        UserError: there is no such folder, it can't be read, or there is no picture in it.
    """
    root = existing_folder(folder)
    return sorted(map(Path, require_some(root, pictures_below(root).paths)))


def existing_folder(folder: str | os.PathLike[str]) -> Path:
    """Return a folder.

    Raises:
        UserError: there is none, or its name is empty.
    """
    if not os.fspath(folder):
        raise UserError("the name of a folder of pictures is empty; give one, . for the folder you are in")
    root = Path(folder)
    if not root.is_dir():
        raise UserError(f"there is no folder {printable(root)}")
    return root


def require_some(root: Path, paths: list[str]) -> list[str]:
    """Return the pictures of a folder.

    Raises:
        UserError: there are none.
    """
    if not paths:
        raise UserError(f"there is no picture in {printable(root)}: no file ends in {', '.join(SUFFIXES)}")
    return paths


@singledispatch
def opened(picture: object, channels: int) -> Image.Image:
    """Return a picture as PIL has it.

    Args:
        picture: the path of a file, a PIL image, an array (H, W) or (H, W, 1, 3 or 4) uint8, or a tensor (H, W) or
            (1, 3 or 4, H, W) uint8.
        channels: 1 where it is to be grey.

    Raises:
        UserError: it is none of these, or can't be read.
    """
    raise UserError(f"a picture is a path, a PIL image, or 8-bit pixels, not {type(picture).__name__}")


@opened.register
def _(picture: str, channels: int) -> Image.Image:
    return open_picture(picture, channels)


@opened.register
def _(picture: os.PathLike, channels: int) -> Image.Image:
    return open_picture(picture, channels)


@opened.register
def _(picture: Image.Image, channels: int) -> Image.Image:
    try:
        return plain_picture(picture, channels)
    except UserError as error:
        raise UserError(f"a picture {error}") from error
    except Exception as error:  # its file is read only now, and Pillow raises many kinds
        raise UserError(f"a picture can't be read ({reason_of(error)})") from error


@opened.register
def _(picture: np.ndarray, channels: int) -> Image.Image:
    flat = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    if picture.dtype != np.uint8 or not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] in (3, 4))):
        raise UserError(
            f"an array must be (H, W) or (H, W, 1, 3 or 4) uint8, got {picture.dtype} of shape {picture.shape}; "
            "prepared inputs go to embedder.module(inputs) as they are"
        )
    return opened(Image.fromarray(flat), channels)


@opened.register
def _(picture: Tensor, channels: int) -> Image.Image:
    if picture.dtype != torch.uint8 or not (picture.ndim == 2 or (picture.ndim == 3 and picture.shape[0] in (1, 3, 4))):
        raise UserError(
            f"a tensor must be (H, W) or (1, 3 or 4, H, W) uint8, got {picture.dtype} of shape {tuple(picture.shape)}; "
            "prepared inputs go to embedder.module(inputs) as they are"
        )
    flat = picture if picture.ndim == 2 else picture.permute(1, 2, 0)
    return opened(flat.cpu().numpy(), channels)


@singledispatch
def listed(pictures: Any) -> Sequence[Any]:
    """Return one picture or many as a sequence; a batch (n, ...) of arrays or tensors counts as n."""
    if isinstance(pictures, Sequence):
        return pictures
    return list(pictures) if isinstance(pictures, Iterable) else [pictures]


@listed.register(str)
@listed.register(bytes)
@listed.register(os.PathLike)
@listed.register(Image.Image)
def _(pictures: Any) -> Sequence[Any]:
    return [pictures]


@listed.register(np.ndarray)
@listed.register(Tensor)
def _(pictures: Any) -> Sequence[Any]:
    return list(pictures) if pictures.ndim == 4 else [pictures]


class _Prepared(Dataset[Any]):
    def __init__(self, pictures: Sequence[Any], preprocessing: Preprocessing):
        self.pictures, self.preprocessing = pictures, preprocessing

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[int, Tensor | None, str]:
        picture = self.pictures[index]
        try:
            return index, self.preprocessing.pixels(opened(picture, self.preprocessing.channels)), ""
        except UserError as error:
            # A file is named by the error.
            which = "" if isinstance(picture, str | os.PathLike) or len(self) == 1 else f"picture number {index}: "
            return index, None, which + str(error)


def _batch(items: list[tuple[int, Tensor | None, str]]) -> tuple[list[Tensor], list[int], list[str]]:
    pixels = [prepared for _, prepared, _ in items if prepared is not None]
    positions = [index for index, prepared, _ in items if prepared is not None]
    return pixels, positions, [fault for _, prepared, fault in items if prepared is None]
