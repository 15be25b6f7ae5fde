"""What a command leaves: a table on the screen, figures in files, whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

from metric_lightning.callbacks.run_summary import as_json
from metric_lightning.files import write_atomically


def print_figures(title: str, columns: Mapping[str, Mapping[str, float]]) -> None:
    """Print one row for each figure, one column for each part of the data.

    Args:
        title: above the table.
        columns: figures by name ("val/map_at_r") of each column.
    """
    print(title)  # as it is: a path in it is to be copied
    table = Table()
    table.add_column("figure")
    plain = {column: {name.split("/")[-1]: value for name, value in found.items()} for column, found in columns.items()}
    for column in plain:
        table.add_column(column, justify="right")
    for name in dict.fromkeys(name for found in plain.values() for name in found):
        table.add_row(name, *(f"{found[name]:.4f}" if name in found else "" for found in plain.values()))
    Console().print(table)


def write_json(path: Path, content: object) -> None:
    """Write plain data for people and programs."""
    write_atomically(path, as_json(content))
