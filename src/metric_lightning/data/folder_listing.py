"""Finds the pictures of a folder that has a folder for each class."""

from pathlib import Path

from metric_lightning.data.class_folders import ClassPictures, pictures_by_class
from metric_lightning.data.listing import Listing, some
from metric_lightning.data.picture_walk import SUFFIXES
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.printable import printable


def list_folder(root: Path) -> Listing:
    """Return the pictures below `root`, their classes being the names of the folders they lie in.

    `root/CLASS/.../picture` or, where folders part the data, `root/train/CLASS/.../picture` and so on, see
    `pictures_by_class`. Hidden files and folders and files that are no pictures by their names are passed over, and so
    are pictures beside the class folders; folders below a class's belong to it.

    Raises:
        DataNotFound: there is no such folder.
        UserError: it can't be read, holds no pictures, no class folders, or folders that are neither parts nor classes.
    """
    if not root.is_dir():
        raise DataNotFound(
            f"there is no folder {printable(root)}; give the folder that holds a folder for each class as `root`"
        )
    found = pictures_by_class(root)
    classes = [one for one in found if one.class_name]
    beside = [path for one in found if not one.class_name for path in one.paths]
    _require_pictures(root, classes, beside)
    full = [one for one in classes if one.paths]
    class_names = sorted({one.class_name for one in full})
    number = {name: place for place, name in enumerate(class_names)}
    parts = [one.part for one in full for _ in one.paths]
    return Listing(
        source=printable(root),
        paths=[path for one in full for path in one.paths],
        labels=[number[one.class_name] for one in full for _ in one.paths],
        class_names=class_names,
        parts=parts if any(parts) else None,
        notes=_notes(root, found, beside),
    )


def _require_pictures(root: Path, classes: list[ClassPictures], beside: list[str]) -> None:
    if any(one.paths for one in classes):
        return
    if classes:
        raise UserError(
            f"the class folders of {printable(root)} hold no picture ({', '.join(SUFFIXES)}); put pictures into "
            f"{some([one.folder for one in classes])}"
        )
    if beside:
        raise UserError(
            f"the folder {printable(root)} holds {len(beside)} pictures, but no class folders: put the pictures of "
            "each class into a folder of its name"
        )
    raise UserError(f"the folder {printable(root)} is empty: put a folder for each class there, named as it is called")


def _notes(root: Path, found: list[ClassPictures], beside: list[str]) -> list[str]:
    """Return sentences on what is left out."""
    notes = []
    empty = [one.folder for one in found if not one.paths and one.class_name]
    if empty:
        notes.append(f"class folders without a picture, left out: {len(empty)} ({some(empty)}).")
    if beside:
        notes.append(
            f"pictures beside the class folders, which say no class, left out: {len(beside)} ({some(beside)})."
        )
    others = sum(one.others for one in found)
    if others:
        notes.append(f"files below {printable(root)} that are no pictures by their names, passed over: {others}.")
    return notes
