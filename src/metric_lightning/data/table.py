"""Reads tables of text by the names of their columns: CSV and Parquet."""

import csv
import os
from pathlib import Path
from typing import Any, Literal

from metric_lightning.data.listing import some
from metric_lightning.data.parquet import read_parquet
from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.printable import printable

Table = dict[str, list[str]]


def read_table(file: Path) -> Table:
    """Return the columns of a CSV or Parquet file as text, by name; blanks around a text are no part of it.

    Raises:
        DataNotFound: there is no such file.
        UserError: it can't be read, or has no row.
    """
    if not file.is_file():
        raise DataNotFound(f"there is no table {printable(file)}; give a .csv or .parquet file as `table`")
    parquet = file.suffix.lower() in (".parquet", ".pq")
    columns: dict[str, list[Any]] = read_parquet(file) if parquet else dict(read_csv(file))
    if not columns or not next(iter(columns.values())):
        raise UserError(
            f"the table {printable(file)} has no row; its first line names the columns, each other is a picture"
        )
    return {name: [_text(value) for value in column] for name, column in columns.items()}


def read_csv(file: Path, errors: Literal["strict", "surrogateescape"] = "strict") -> Table:
    """Return the columns of a CSV file by name, each text as it stands there. A comma, a semicolon or a tab parts them.

    Args:
        file: in UTF-8.
        errors: "surrogateescape" keeps bytes that are no UTF-8, as names of files may have them.

    Raises:
        UserError: it can't be read, a row has not as many columns as the first line names, or that names one twice.
    """
    try:
        with open(file, encoding="utf-8-sig", errors=errors, newline="") as opened:
            head = opened.readline()
            opened.seek(0)
            mark = max(",;\t", key=head.count)
            rows = [row for row in csv.reader(opened, delimiter=mark, strict=True) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"the table {printable(file)} can't be read as CSV in UTF-8 ({error})") from error
    if any("\0" in text for row in rows for text in row):
        raise UserError(f"the table {printable(file)} can't be read as CSV in UTF-8 (it holds NUL characters)")
    if not rows:
        return {}
    names = [name.strip() for name in rows[0]]
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise UserError(
                f"row {number} of {printable(file)} has {len(row)} columns, but the first line names {len(names)}"
            )
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise UserError(f"the first line of {printable(file)} names {some(twice)} twice; give each column its own name")
    return {name: [row[place] for row in rows[1:]] for place, name in enumerate(names)}


def require_columns(file: Path, table: Table, names: list[str], remedy: str) -> None:
    """Refuse a table that lacks a column.

    Raises:
        UserError: it does; `remedy` is the end of the sentence.
    """
    for name in names:
        if name not in table:
            columns = some(list(table) or ["none"], len(table) + 1)
            raise UserError(f"the table {printable(file)} has no column {name!r}; it has {columns}: {remedy}")


def require_values(file: Path, table: Table, names: list[str]) -> None:
    """Refuse a table where a row says nothing in a column that must say something.

    Raises:
        UserError: there is such a row.
    """
    for name in names:
        rows = [place + 2 for place, value in enumerate(table[name]) if not value]
        if rows:
            raise UserError(
                f"the table {printable(file)} has no {name} in {len(rows)} rows ({some(rows)}); fill or remove them"
            )


def _text(value: Any) -> str:
    if value is None or value != value:  # what pandas has for a missing value is a number that isn't itself
        return ""
    return (os.fsdecode(value) if isinstance(value, bytes) else str(value)).strip()
