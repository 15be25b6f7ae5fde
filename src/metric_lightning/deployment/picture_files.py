"""Picture files of a folder."""

import os
from pathlib import Path

from metric_lightning.data.picture_walk import SUFFIXES, pictures_below
from metric_lightning.errors import UserError
from metric_lightning.printable import printable


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
