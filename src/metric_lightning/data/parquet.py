"""Tables in Parquet."""

from pathlib import Path
from typing import Any

from metric_lightning.errors import UserError


def read_parquet(file: Path) -> dict[str, list[Any]]:
    """Return the columns of a Parquet file by name, None where a value is missing.

    Raises:
        UserError: pyarrow isn't installed, or the file can't be read.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise UserError(
            f"reading {file} needs pyarrow, which isn't installed: pip install 'metric_lightning[parquet]', or give a "
            ".csv file"
        ) from error
    try:
        found: dict[str, list[Any]] = pyarrow.parquet.read_table(file).to_pydict()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"the table {file} can't be read as Parquet ({' '.join(str(error).split())})") from error
    return found
