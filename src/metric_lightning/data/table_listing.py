"""Reads a table of pictures: which there are, and whether its rows make sense."""

import csv
import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from metric_lightning.data.image_files import Box
from metric_lightning.data.listing import PARTS, Listing, part_named, some
from metric_lightning.data.parquet import read_parquet
from metric_lightning.errors import DataNotFound, UserError

Table = dict[str, list[str]]

_DEFAULT_SPLIT = "split"


class Columns(NamedTuple):
    """Names of columns; see `ImageTable`."""

    path: str
    labels: list[str]
    split: str | None = _DEFAULT_SPLIT
    box: list[str] | None = None
    group: str | None = None
    camera: str | None = None


def list_table(file: Path, root: Path, columns: Columns) -> tuple[Listing, list[tuple[str, ...]]]:
    """Return what a table lists, and each class's labels, coarse to fine.

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
    _require_columns(file, table, [name for name in needed if name is not None])
    _require_values(file, table, [columns.path, *columns.labels])
    levels = list(zip(*(table[name] for name in columns.labels), strict=True))
    classes = sorted(set(levels))
    number = {name: place for place, name in enumerate(classes)}
    boxes = None if columns.box is None else _boxes(file, table, columns.box)
    paths = [os.path.join(root, path) for path in table[columns.path]]
    _require_different(file, table[columns.path], boxes, ["/".join(level) for level in levels])
    listing = Listing(
        source=str(file),
        paths=paths,
        labels=[number[level] for level in levels],
        class_names=["/".join(name) for name in classes],
        parts=None if split is None else _parts(file, table[split], split),
        boxes=boxes,
        groups=None if columns.group is None else table[columns.group],
        cameras=None if columns.camera is None else table[columns.camera],
    )
    return listing, classes


def read_table(file: Path) -> Table:
    """Return the columns of a CSV or Parquet file as text, by name.

    Raises:
        DataNotFound: there is no such file.
        UserError: it can't be read, or has no row.
    """
    if not file.is_file():
        raise DataNotFound(f"there is no table {file}; give a .csv or .parquet file as `table`")
    table = _texts(read_parquet(file)) if file.suffix.lower() in (".parquet", ".pq") else _read_csv(file)
    if not table or not next(iter(table.values())):
        raise UserError(f"the table {file} has no row; its first line names the columns, each other is a picture")
    return table


def _texts(columns: dict[str, list[Any]]) -> Table:
    return {name: ["" if value is None else str(value) for value in column] for name, column in columns.items()}


def _read_csv(file: Path) -> Table:
    try:
        with open(file, encoding="utf-8-sig", newline="") as opened:
            head = opened.readline()
            opened.seek(0)
            mark = max(",;\t", key=head.count)
            rows = [row for row in csv.reader(opened, delimiter=mark, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"the table {file} can't be read as CSV in UTF-8 ({error})") from error
    if not rows:
        return {}
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise UserError(f"row {number} of {file} has {len(row)} columns, but the first line names {len(names)}")
    return {name: [row[place].strip() for row in rows[1:]] for place, name in enumerate(names)}


def _require_columns(file: Path, table: Table, names: list[str]) -> None:
    for name in names:
        if name not in table:
            raise UserError(
                f"the table {file} has no column {name!r}; it has {', '.join(table)}: name another (path_column, "
                "label_column, ...)"
            )


def _require_values(file: Path, table: Table, names: list[str]) -> None:
    for name in names:
        rows = [place + 2 for place, value in enumerate(table[name]) if not value]
        if rows:
            raise UserError(f"the table {file} has no {name} in {len(rows)} rows ({some(rows)}); fill or remove them")


def _require_different(file: Path, paths: list[str], boxes: list[Box] | None, labels: list[str]) -> None:
    first: dict[object, int] = {}
    for place, path in enumerate(paths):
        other = first.setdefault(path if boxes is None else (path, boxes[place]), place)
        if other == place:
            continue
        said = f"the table {file} names {path} twice (rows {other + 2} and {place + 2})"
        if labels[other] != labels[place]:
            raise UserError(f"{said} as {labels[other]} and as {labels[place]}; remove the wrong one")
        raise UserError(f"{said}; remove one")


def _parts(file: Path, names: list[str], column: str) -> list[str]:
    parts = []
    for place, name in enumerate(names):
        part = part_named(name)
        if part is None:
            raise UserError(
                f"row {place + 2} of {file} has {name!r} in column {column!r}; it must be {', '.join(PARTS)}"
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
                f"row {place + 2} of {file} has the box {', '.join(row)}; it must be four numbers"
            ) from None
        if not (left < right and top < bottom and all(map(math.isfinite, (left, right, top, bottom)))):
            raise UserError(
                f"row {place + 2} of {file} has the box {', '.join(row)} of no size; give left, top, right, bottom"
            )
        boxes.append((left, top, right, bottom))
    return boxes
