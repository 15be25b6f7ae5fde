"""Pictures of a folder that has a folder for each class: whose they are, and which part of the data."""

from pathlib import Path
from typing import NamedTuple

from metric_lightning.data.listing import part_named, some
from metric_lightning.data.picture_walk import folders_in, pictures_below, pictures_beside
from metric_lightning.errors import UserError
from metric_lightning.printable import is_text, printable


class ClassPictures(NamedTuple):
    """The pictures of a class folder.

    Attributes:
        folder: relative to the root.
        class_name: "" of pictures that lie beside the class folders.
        part: "train", "val", "test", "gallery"; "" where folders don't part the data.
        paths: files, in order of their names.
        others: number of files that are no pictures by their names.
    """

    folder: str
    class_name: str
    part: str
    paths: list[str]
    others: int


def pictures_by_class(root: Path) -> list[ClassPictures]:
    """Return the pictures below `root` by the folders they lie in, class by class.

    `root/CLASS/.../picture`; or, where all folders of `root` are called like parts of the data, or one that has folders
    itself like the training part, `root/train/CLASS/.../picture` and so on: train (training), val (valid, validation,
    dev), test (testing, query), gallery. Links are followed, see `pictures_below`.

    Raises:
        UserError: a folder can't be read, is neither part nor class, or a class's name is no text.
    """
    parts = _parts(root)
    found = [_beside(root, "", "")]
    for place, part in parts.items():
        found.append(_beside(root, place, part))
    for place, part in (parts or {"": ""}).items():
        for name in folders_in(root / place):
            folder = f"{place}/{name}" if place else name
            found.append(ClassPictures(folder, name, part, *pictures_below(root, folder)))
    _require_text(root, [one.folder for one in found if not is_text(one.class_name)])
    return [one for one in found if one.class_name or one.paths or one.others]


def _parts(root: Path) -> dict[str, str]:
    """Return which part of the data each folder is; {} where they are classes."""
    folders = folders_in(root)
    parts = {folder: part for folder in folders if (part := part_named(folder)) is not None}
    strange = [folder for folder in folders if folder not in parts]
    if strange and not any(folders_in(root / folder) for folder, part in parts.items() if part == "train"):
        return {}
    if strange:
        raise UserError(
            f"{printable(root)} has a folder for training, and beside it {some(strange)}, which is no part of the data "
            "(train, val, test, gallery); move it into the part that it belongs to, or elsewhere"
        )
    return parts


def _beside(root: Path, folder: str, part: str) -> ClassPictures:
    return ClassPictures(folder, "", part, *pictures_beside(root / folder))


def _require_text(root: Path, folders: list[str]) -> None:
    if folders:
        raise UserError(
            f"class folders of {printable(root)} whose names are no UTF-8: {len(folders)} ({some(folders)}); rename "
            "them (convmv -f latin1 -t utf8 does), for a class's name goes into figures, tables and checkpoints"
        )
