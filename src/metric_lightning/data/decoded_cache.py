"""Decoded pictures kept on disk: a large photograph is decoded and scaled once, not once an epoch."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metric_lightning.data.preprocessing import Preprocessing
from metric_lightning.errors import UserError


class DecodedCache:
    """A folder of decoded pictures, each scaled until its shorter side has `resize` pixels (never enlarged).

    Evaluation gets the very pixels it would get without; augmentation gets the smaller picture. A file that changes
    is decoded again. Workers and runs share the folder; delete it when you like.

    Costs 3 x 256 x 341 = 262 kB for a photograph of 4:3 at resize=256.

    Args:
        folder: made when needed.
    """

    def __init__(self, folder: str | os.PathLike[str]):
        self.folder = Path(folder).expanduser()

    def picture(
        self, path: str, box: tuple[float, ...] | None, prepare: Preprocessing, decode: Callable[[], Tensor]
    ) -> Tensor:
        """Return a picture (channels, height, width), 8-bit, from the cache or by `decode`.

        Raises:
            UserError: the folder can't be written.
        """
        try:
            state = os.stat(path)
        except OSError:
            return decode()  # which says what is wrong
        what = (os.path.abspath(path), state.st_size, state.st_mtime_ns, box, prepare.channels, *_scale(prepare))
        name = hashlib.blake2b(repr(what).encode(), digest_size=16).hexdigest()
        file = self.folder / name[:2] / f"{name}.npy"
        try:
            return torch.from_numpy(np.load(file, allow_pickle=False))
        except (OSError, ValueError, EOFError):  # not there yet, or cut short by a full disk
            picture = _smaller(decode(), prepare)
            self._write(file, picture)
            return picture

    def _write(self, file: Path, picture: Tensor) -> None:
        beside = None
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor, beside = tempfile.mkstemp(dir=file.parent, suffix=".unfinished")
            with os.fdopen(descriptor, "wb") as opened:
                np.save(opened, picture.numpy())
            os.replace(beside, file)
        except OSError as error:
            if beside is not None:
                Path(beside).unlink(missing_ok=True)
            raise UserError(
                f"cache_dir {self.folder} can't be written ({error.strerror}); make room, choose another folder, or "
                "leave cache_dir out"
            ) from error


def _scale(prepare: Preprocessing) -> tuple[int, str]:
    return prepare.resize or max(prepare.size), prepare.interpolation


def _smaller(picture: Tensor, prepare: Preprocessing) -> Tensor:
    # Scaling comes first in evaluation too, so that what is cut out of the scaled picture is the same.
    if prepare.resize is None or tuple(picture.shape[-2:]) == prepare.size:
        return picture
    return prepare.scaled(picture) if min(picture.shape[-2:]) > prepare.resize else picture
