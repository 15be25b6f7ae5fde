"""Finds the pictures of a folder that has a folder for each class."""

import os
from pathlib import Path

from metric_lightning.data.listing import Listing, part_named, some
from metric_lightning.errors import DataNotFound, UserError

# Files with other names are no pictures to us: notes, tables, thumbnails' databases.
SUFFIXES = (
    *(".jpg", ".jpeg", ".jfif", ".png", ".webp", ".gif", ".bmp", ".avif"),
    *(".tif", ".tiff", ".ppm", ".pgm", ".pbm"),
)


def list_folder(root: Path) -> Listing:
    """Return the pictures below `root`, their classes being the names of the folders they lie in.

    `root/CLASS/.../picture` or, where `root` holds a folder train, `root/train/CLASS/.../picture` and the like for
    val, test and gallery (also training, valid, validation, dev, testing, query). Hidden files and folders and files
    that are no pictures by their names are passed over; folders below a class's belong to it.

    Raises:
        DataNotFound: there is no such folder.
        UserError: it can't be read, holds no pictures, no class folders, or folders that are neither parts nor classes.
    """
    if not root.is_dir():
        raise DataNotFound(f"there is no folder {root}; give the folder that holds a folder for each class as `root`")
    folders = _folders(root)
    if not folders:
        found = [name for name in _entries(root) if name.lower().endswith(SUFFIXES)]
        if not found:
            raise UserError(f"the folder {root} is empty: put a folder for each class there, named as it is called")
        raise UserError(
            f"the folder {root} holds {len(found)} pictures, but no class folders: put the pictures of each class "
            "into a folder of its name"
        )
    parts = {folder: part_named(folder) for folder in folders}
    if "train" not in parts.values() or not any(_folders(root / f) for f, part in parts.items() if part == "train"):
        return _listing(root, [(folder, "") for folder in folders])
    strange = [folder for folder, part in parts.items() if part is None]
    if strange:
        raise UserError(
            f"{root} has a folder for training, and beside it {some(strange)}, which is no part of the data "
            "(train, val, test, gallery); move it into the part that it belongs to, or elsewhere"
        )
    return _listing(root, [(f"{part}/{c}", name or "") for part, name in parts.items() for c in _folders(root / part)])


def _listing(root: Path, folders: list[tuple[str, str]]) -> Listing:
    paths: list[str] = []
    names: list[str] = []
    parts: list[str] = []
    others = 0
    empty = []
    for folder, part in folders:
        found, passed = _pictures(root / folder)
        others += passed
        if not found:
            empty.append(folder)
        paths += found
        names += [folder.rpartition("/")[2]] * len(found)
        parts += [part] * len(found)
    if not paths:
        raise UserError(
            f"the class folders of {root} hold no picture ({', '.join(SUFFIXES)}); put pictures into {some(empty)}"
        )
    class_names = sorted(set(names))
    number = {name: place for place, name in enumerate(class_names)}
    notes = []
    if empty:
        notes.append(f"class folders without a picture, left out: {len(empty)} ({some(empty)}).")
    if others:
        notes.append(f"files below {root} that are no pictures by their names, passed over: {others}.")
    labels = [number[name] for name in names]
    return Listing(str(root), paths, labels, class_names, parts if any(parts) else None, notes=notes)


def _pictures(folder: Path) -> tuple[list[str], int]:
    """Return the pictures below a folder in order of their names, and how many other files there are."""
    paths, others = [], 0
    seen: set[str] = set()
    for place, below, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        # A link to a folder above would have us go round for ever.
        below[:] = [name for name in sorted(below) if not name.startswith((".", "__MACOSX"))]
        real = os.path.realpath(place)
        if real in seen:
            below.clear()
            continue
        seen.add(real)
        for name in sorted(files):
            if name.startswith("."):
                continue
            if name.lower().endswith(SUFFIXES):
                paths.append(os.path.join(place, name))
            else:
                others += 1
    return paths, others


def _folders(root: Path) -> list[str]:
    return [name for name in _entries(root) if (root / name).is_dir() and not name.startswith("__MACOSX")]


def _entries(root: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(root) if not name.startswith("."))
    except OSError as error:
        _unreadable(error)
        raise


def _unreadable(error: OSError) -> None:
    raise UserError(f"the folder {error.filename} can't be read ({error.strerror}); change its permissions") from error
