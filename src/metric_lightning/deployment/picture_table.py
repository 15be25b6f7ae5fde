"""Which pictures there are, and what they show: the rows beside an index's vectors."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from metric_lightning.data.class_folders import pictures_by_class
from metric_lightning.data.table import read_csv, read_table, require_columns, require_values
from metric_lightning.data.table_listing import require_different
from metric_lightning.deployment.pictures import existing_folder, listed, require_some
from metric_lightning.errors import UserError

_TABLES = (".csv", ".tsv", ".parquet", ".pq")
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
        """Return the table of a folder, of a file that lists pictures, or of paths.

        - A folder: all pictures below it, their classes as `ImageFolder` has them; pictures beside the class folders
          have none.
        - A file `.csv`, `.tsv` or `.parquet` as `ImageTable` reads it: a column `path`, relative to the file's folder
          or absolute, and maybe a column `label`.
        - Paths: without class names.

        Raises:
            UserError: there is no picture, or the file is no such table.
        """
        chosen = listed(pictures)
        strange = [picture for picture in chosen if not isinstance(picture, str | os.PathLike)]
        if strange or not chosen:
            got = f"got {type(strange[0]).__name__}" if strange else "got none"
            raise UserError(f"an index is of picture files: give a folder, a table or paths, {got}")
        place = Path(chosen[0])
        if len(chosen) == 1 and not place.is_dir() and place.suffix.lower() in _TABLES:
            return _of_file(place)
        if len(chosen) == 1 and not place.is_file():
            return _of_folder(existing_folder(place))
        return cls(os.getcwd(), [os.path.abspath(path) for path in chosen], [""] * len(chosen))

    def text(self) -> str:
        """Return names and labels as CSV."""
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\r\n")  # its letters are those that it quotes in names
        writer.writerow(_HEADER)
        writer.writerows(zip(self.names, self.labels, strict=True))
        return lines.getvalue()

    @classmethod
    def read(cls, file: Path, root: str) -> "PictureTable":
        """Return what `text` has written.

        Raises:
            UserError: the file can't be read, or is no such table.
        """
        table = read_csv(file, errors="surrogateescape")
        require_columns(file, table, _HEADER, "build the index again")
        return cls(root, table["path"], table["label"])


def _of_folder(root: Path) -> PictureTable:
    found = pictures_by_class(root)
    paths = require_some(root, [path for one in found for path in one.paths])
    labels = [one.class_name for one in found for _ in one.paths]
    return PictureTable(os.path.abspath(root), [os.path.relpath(path, root) for path in paths], labels)


def _of_file(file: Path) -> PictureTable:
    table = read_table(file)
    require_columns(file, table, ["path"], "call the column of paths so, and that of labels label")
    require_values(file, table, ["path"])
    labels = table.get("label", [""] * len(table["path"]))
    require_different(file, file.parent, table["path"], None, labels)
    return PictureTable(os.path.abspath(file.parent), table["path"], labels)
