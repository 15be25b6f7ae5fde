"""Which pictures there are, and what they show: the rows beside an index's vectors."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metric_lightning.data.listing import part_named
from metric_lightning.deployment.pictures import listed, pictures_in
from metric_lightning.errors import UserError

_HEADER = ["path", "label"]


class PictureTable(NamedTuple):
    """n pictures.

    Attributes:
        root: the folder that relative paths start from.
        names: n paths, relative to it where they lie below it.
        labels: n class names, "" where there is none.
    """

    root: str
    names: list[str]
    labels: list[str]

    @property
    def paths(self) -> list[str]:
        """The files."""
        return [self.absolute(position) for position in range(len(self.names))]

    def absolute(self, position: int) -> str:
        """Return the file of one row."""
        return os.path.join(self.root, self.names[position])

    def rows(self, positions: Sequence[int]) -> "PictureTable":
        """Return some of the rows."""
        return PictureTable(self.root, [self.names[i] for i in positions], [self.labels[i] for i in positions])

    @classmethod
    def of(cls, pictures: Any) -> "PictureTable":
        """Return the table of a folder, of a CSV file, or of paths.

        - A folder: all pictures below it; the first folder on the way to a picture names its class, or the second
          where the first is a part of the data (train, val, test, gallery).
        - A file `.csv`: a column `path`, relative to the file's folder or absolute, and maybe a column `label`.
        - Paths: without class names.

        Raises:
            UserError: there is no picture, or the file is no such table.
        """
        chosen = listed(pictures)
        if len(chosen) == 1 and Path(chosen[0]).suffix.lower() == ".csv":
            return _of_csv(Path(chosen[0]))
        if len(chosen) == 1 and not Path(chosen[0]).is_file():
            root = Path(chosen[0])
            below = [path.relative_to(root) for path in pictures_in(root)]
            return cls(os.path.abspath(root), [str(path) for path in below], [_class_of(path.parts) for path in below])
        if not chosen:
            raise UserError("there is no picture to index; give a folder, a .csv table or paths")
        return cls(os.getcwd(), [os.path.abspath(path) for path in chosen], [""] * len(chosen))

    def text(self) -> str:
        """Return names and labels as CSV."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(zip(self.names, self.labels, strict=True))
        return lines.getvalue()

    @classmethod
    def read(cls, file: Path, root: str) -> "PictureTable":
        """Return what `text` has written.

        Raises:
            UserError: the file can't be read, or is no such table.
        """
        rows = _rows(file)
        if any(row.get("label") is None for row in rows):
            raise UserError(f"{file} has no column 'label', or a row without one; build the index again")
        return cls(root, [row["path"] for row in rows], [row["label"] for row in rows])


def _class_of(parts: tuple[str, ...]) -> str:
    folders = parts[:-1]
    if len(folders) > 1 and part_named(folders[0]) is not None:
        folders = folders[1:]
    return folders[0] if folders else ""


def _of_csv(file: Path) -> PictureTable:
    rows = _rows(file)
    if not rows:
        raise UserError(f"{file} lists no picture")
    labels = [row.get("label") or "" for row in rows]
    return PictureTable(os.path.abspath(file.parent), [row["path"] for row in rows], labels)


def _rows(file: Path) -> list[dict[str, str]]:
    try:
        # Names of files need not be UTF-8: what isn't comes back as it was.
        with file.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
            reader = csv.DictReader(lines)
            if "path" not in (reader.fieldnames or []):
                raise UserError(f"{file} has no column 'path'; its first line must name its columns, path and label")
            rows = list(reader)
    except (OSError, csv.Error) as error:
        raise UserError(f"{file} can't be read as a table ({error})") from error
    for number, row in enumerate(rows, 2):
        if not row["path"]:
            raise UserError(f"{file}:{number} names no path")
    return rows
