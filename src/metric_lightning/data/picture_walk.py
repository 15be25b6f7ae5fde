"""Finds the picture files below a folder, in linked folders too."""

import os
from pathlib import Path
from typing import NamedTuple

from metric_lightning.errors import UserError
from metric_lightning.printable import printable

# Files with other names are no pictures to us: notes, tables, thumbnails' databases.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".avif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
)


class Found(NamedTuple):
    """What a folder holds.

    Attributes:
        paths: picture files, in order of their names.
        others: number of files that are no pictures by their names.
    """

    paths: list[str]
    others: int


def pictures_below(root: Path, folder: str = "") -> Found:
    """Return the pictures in a folder of `root` and in all folders below, those of links too.

    Hidden files and folders are passed over. A folder that links lead to twice is looked through once, and a link to
    `root` or a folder above not at all: it would lead round for ever, or to pictures of other classes.

    Args:
        root: a folder.
        folder: relative to it.

    Raises:
        UserError: a folder can't be read.
    """
    paths: list[str] = []
    others = 0
    seen = _above(root, folder)
    for place, below, files in os.walk(root / folder, onerror=_refuse, followlinks=True):
        below[:] = [name for name in sorted(below) if _is_shown(name)]
        real = os.path.realpath(place)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        here = _told_apart(place, files)
        paths += here.paths
        others += here.others
    return Found(paths, others)


def folders_in(place: Path) -> list[str]:
    """Return the names of the folders in a folder, links to folders too, in order.

    Raises:
        UserError: it can't be read.
    """
    return [name for name in _entries(place) if (place / name).is_dir()]


def pictures_beside(place: Path) -> Found:
    """Return the pictures in a folder itself, not in those below.

    Raises:
        UserError: it can't be read.
    """
    return _told_apart(str(place), [name for name in _entries(place) if not (place / name).is_dir()])


def _told_apart(place: str, names: list[str]) -> Found:
    shown = [name for name in sorted(names) if _is_shown(name)]
    pictures = [os.path.join(place, name) for name in shown if name.lower().endswith(SUFFIXES)]
    return Found(pictures, len(shown) - len(pictures))


def _is_shown(name: str) -> bool:
    """Whether a file or folder is neither hidden nor what a Mac adds to archives."""
    return not name.startswith((".", "__MACOSX"))


def _above(root: Path, folder: str) -> set[str]:
    """Return where `root`, if the folder is below it, and all above it really are."""
    real = Path(os.path.realpath(root))
    return {str(parent) for parent in real.parents} | {
        os.path.realpath(root / parent) for parent in Path(folder).parents
    }


def _entries(place: Path) -> list[str]:
    try:
        return sorted(filter(_is_shown, os.listdir(place)))
    except OSError as error:
        _refuse(error)
        raise


def _refuse(error: OSError) -> None:
    raise UserError(
        f"the folder {printable(str(error.filename))} can't be read ({error.strerror}); change its permissions"
    ) from error
