"""Files in the IDX format of MNIST, and where to look for them."""

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metric_lightning.errors import UserError

IMAGES_AND_LABELS = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_NAMES = [name for pair in IMAGES_AND_LABELS.values() for name in pair]


def cache_folder() -> Path:
    """Return where downloads are kept: `$XDG_CACHE_HOME` or `~/.cache`, `metric_lightning` in it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "metric_lightning"


def find_folder(folders: Sequence[Path]) -> Path | None:
    """Return the first folder that holds all four files, packed (.gz) or not."""
    for folder in folders:
        if all(_existing(folder, name) for name in _NAMES):
            return folder
    return None


def read_images_and_labels(folder: Path, part: str) -> tuple[Tensor, Tensor]:
    """Return images (n, 1, H, W) uint8 and labels (n,) int64 of "train" or "test".

    Raises:
        UserError: a file is damaged, or there are other numbers of images and labels.
    """
    paths = [_existing(folder, name) or folder / name for name in IMAGES_AND_LABELS[part]]
    images, labels = (read_idx(path, dims) for path, dims in zip(paths, (3, 1), strict=True))
    if len(images) != len(labels):
        raise UserError(
            f"{paths[0]} has {len(images)} images, but {paths[1].name} {len(labels)} labels; "
            "delete both and get them again"
        )
    return images[:, None], labels.long()


def read_idx(path: Path, dims: int) -> Tensor:
    """Return the uint8 array of an IDX file, packed or not.

    The format: two zero bytes, 8 for "unsigned bytes", the number of dimensions, each dimension as
    big-endian 32-bit integer, the values.

    Raises:
        UserError: the file is damaged, or holds something else.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read()
    except (OSError, EOFError) as error:
        raise UserError(f"{path} can't be read ({error}); delete it and get it again") from error
    header = 4 + 4 * dims
    shape = np.frombuffer(content[4:header], dtype=">i4").tolist() if len(content) >= header else []
    expected = bytes([0, 0, 8, dims])
    if content[:4] != expected or len(content) != header + int(np.prod(shape, dtype=np.int64)):
        raise UserError(f"{path} is no whole IDX file of {dims} dimension(s); delete it and get it again")
    values = np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
    return torch.from_numpy(values.copy())


def _existing(folder: Path, name: str) -> Path | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    return None
