"""Reads a table of pictures: which there are, and whether its rows make sense."""

import math
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from metric_lightning.data.image_files import Box
from metric_lightning.data.listing import PARTS, Listing, part_named, some
from metric_lightning.data.table import Table, read_table, require_columns, require_values
from metric_lightning.errors import UserError
from metric_lightning.printable import is_text, printable

_DEFAULT_SPLIT = "split"


class Columns(NamedTuple):
    """Names of columns; see `ImageTable`."""

    path: str
    labels: list[str]
    split: str | None = _DEFAULT_SPLIT
    box: list[str] | None = None
    group: str | None = None
    camera: str | None = None
    separator: str | None = None


def list_table(file: Path, root: Path, columns: Columns) -> tuple[Listing, list[tuple[str, ...]]]:
    """Return what a table lists, and each class's labels: coarse to fine, or with a separator in alphabetical order.

    Raises:
        DataNotFound: there is no such file.
        UserError: it can't be read, a column, path, label or part is missing or unknown, a box is no box, or two rows
            say the same or contrary things.
    """
    if not columns.labels:
        raise UserError("label_column names no column; name the one that holds the labels")
    table = read_table(file)
    split = columns.split if columns.split != _DEFAULT_SPLIT or _DEFAULT_SPLIT in table else None
    needed = [columns.path, *columns.labels, split, *(columns.box or []), columns.group, columns.camera]
    remedy = "name another (path_column, label_column, ...)"
    require_columns(file, table, [name for name in needed if name is not None], remedy)
    require_values(file, table, [columns.path, *columns.labels])
    levels = list(zip(*(table[name] for name in columns.labels), strict=True))
    if columns.separator is not None:
        levels = _sets(file, levels, columns.labels, columns.separator)
    mark = columns.separator or "/"
    classes = sorted(set(levels))
    _require_names(file, [mark.join(name) for name in classes])
    number = {name: place for place, name in enumerate(classes)}
    boxes = None if columns.box is None else _boxes(file, table, columns.box)
    paths = [os.path.join(root, path) for path in table[columns.path]]
    require_different(file, root, table[columns.path], boxes, [mark.join(level) for level in levels])
    listing = Listing(
        source=printable(file),
        paths=paths,
        labels=[number[level] for level in levels],
        class_names=[mark.join(name) for name in classes],
        parts=None if split is None else _parts(file, table[split], split),
        boxes=boxes,
        groups=None if columns.group is None else table[columns.group],
        cameras=None if columns.camera is None else table[columns.camera],
    )
    return listing, classes


def _sets(file: Path, rows: list[tuple[str, ...]], columns: list[str], separator: str) -> list[tuple[str, ...]]:
    """Return each row's labels, each once, in alphabetical order."""
    if len(columns) != 1 or not separator:
        raise UserError(
            f"label_separator {separator!r} parts the labels of one label_column, got {some(columns)}; give one column "
            "and what stands between its labels"
        )
    sets = [tuple(sorted({label.strip() for label in row[0].split(separator)} - {""})) for row in rows]
    if () in sets:
        raise UserError(
            f"row {sets.index(()) + 2} of {printable(file)} has {rows[sets.index(())][0]!r} in column {columns[0]!r}, "
            "which is no label; fill or remove it"
        )
    return sets


def require_different(file: Path, root: Path, paths: list[str], boxes: list[Box] | None, labels: list[str]) -> None:
    """Refuse a table that names a picture, or a box of it, twice, however its path is spelled.

    Two links to one file are two pictures; links among the folders on the way are followed.

    Raises:
        UserError: it does.
    """
    first: dict[object, int] = {}
    folders: dict[str, str] = {}
    for place, path in enumerate(paths):
        folder, name = os.path.split(os.path.join(root, path))
        if folder not in folders:
            folders[folder] = os.path.realpath(folder)
        where = (folders[folder], name)
        other = first.setdefault(where if boxes is None else (where, boxes[place]), place)
        if other == place:
            continue
        spelled = "" if paths[other] == path else f", once as {printable(paths[other])}"
        said = f"the table {printable(file)} names {printable(path)} twice{spelled} (rows {other + 2} and {place + 2})"
        if labels[other] != labels[place]:
            as_both = f"{printable(labels[other])} and as {printable(labels[place])}"
            raise UserError(f"{said} as {as_both}; remove the wrong one")
        raise UserError(f"{said}; remove one")


def _require_names(file: Path, class_names: list[str]) -> None:
    """Refuse names of classes that can't be shown, or told apart."""
    strange = [name for name in class_names if not is_text(name)]
    if strange:
        raise UserError(f"labels of {printable(file)} that are no UTF-8: {len(strange)} ({some(strange)}); rename them")
    alike = [name for name, count in Counter(class_names).items() if count > 1]
    if alike:
        raise UserError(
            f"several classes of {printable(file)} would be called {some(alike)}; label columns are joined by a slash: "
            "rename some of their labels"
        )


def _parts(file: Path, names: list[str], column: str) -> list[str]:
    parts = []
    for place, name in enumerate(names):
        part = part_named(name)
        if part is None:
            raise UserError(
                f"row {place + 2} of {printable(file)} has {name!r} in column {column!r}; it must be {', '.join(PARTS)}"
            )
        parts.append(part)
    return parts


def _boxes(file: Path, table: Table, names: list[str]) -> list[Box]:
    if len(names) != 4:
        raise UserError(f"box_columns must name four columns (left, top, right, bottom), got {', '.join(names)}")
    boxes = []
    for place, row in enumerate(zip(*(table[name] for name in names), strict=True)):
        try:
            left, top, right, bottom = map(float, row)
        except ValueError:
            raise UserError(
                f"row {place + 2} of {printable(file)} has the box {some(row, 4)}; it must be four numbers"
            ) from None
        if not (left < right and top < bottom and all(map(math.isfinite, (left, right, top, bottom)))):
            raise UserError(
                f"row {place + 2} of {printable(file)} has the box {some(row, 4)} of no size; give left, "
                "top, right, bottom"
            )
        boxes.append((left, top, right, bottom))
    return boxes
