"""Embedded samples as a file that other programs read: npz or Parquet.

n samples, D dimensions.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metric_lightning.data.listing import some
from metric_lightning.errors import UserError
from metric_lightning.extras import require
from metric_lightning.files import written_beside
from metric_lightning.printable import is_text, printable

_ROWS = 65_536  # written at once


class EmbeddingTable(NamedTuple):
    """What is known of n samples.

    Attributes:
        embeddings: (n, D) float32.
        labels: (n,) int64.
        indices: (n,) int64, the position of each in its data set.
        paths: n files, "" where a sample has none of its own.
        class_names: by label.
    """

    embeddings: NDArray[np.float32]
    labels: NDArray[np.int64]
    indices: NDArray[np.int64]
    paths: Sequence[str]
    class_names: Sequence[str]


class Writer(NamedTuple):
    """How a kind of file is written.

    Attributes:
        write: writes a table.
        any_names: whether paths may have bytes that are no UTF-8.
    """

    write: Callable[[Path, EmbeddingTable], None]
    any_names: bool

    def require_names(self, paths: Sequence[str]) -> None:
        """Refuse files whose names this kind of file can't hold.

        Raises:
            UserError: there are such.
        """
        strange = [] if self.any_names else [path for path in paths if not is_text(path)]
        if strange:
            raise UserError(
                f"names of files that are no UTF-8, which Parquet can't hold: {len(strange)} ({some(strange)}); rename "
                "them (convmv -f latin1 -t utf8 does), or give an .npz file as --output"
            )


def writer_of(path: Path) -> Writer:
    """Return what writes such a file, by its suffix.

    Raises:
        UserError: another suffix than .npz and .parquet, or Parquet without pyarrow.
    """
    if path.suffix == ".parquet":
        require("pyarrow", "parquet", "a Parquet file")
        return Writer(write_parquet, any_names=False)
    if path.suffix == ".npz":
        return Writer(write_npz, any_names=True)
    raise UserError(f"{printable(path)} must end in .npz or .parquet, which say how embeddings are written")


def write_npz(path: Path, table: EmbeddingTable) -> None:
    """Write embeddings (n, D), labels, indices, names, paths (n,) and class_names: data only, read by `numpy.load`.

    Example:
        >>> import tempfile
        >>> table = EmbeddingTable(np.ones((1, 2), np.float32), np.array([1]), np.array([0]), ["a.png"], ["cat", "dog"])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_npz(Path(folder, "out.npz"), table)
        ...     found = dict(np.load(Path(folder, "out.npz")))
        >>> found["embeddings"].tolist(), found["names"].tolist(), found["paths"].tolist()
        ([[1.0, 1.0]], ['dog'], ['a.png'])
    """
    class_names = np.array(table.class_names, dtype=np.str_)
    with written_beside(path) as beside, beside.open("wb") as file:
        np.savez(
            file,
            embeddings=table.embeddings,
            labels=table.labels,
            indices=table.indices,
            names=_names(table.labels, class_names),
            paths=np.array(table.paths, dtype=np.str_),
            class_names=class_names,
        )


def write_parquet(path: Path, table: EmbeddingTable) -> None:
    """Write the columns index, path, label, name, embedding (a list of D float32), 65,536 rows at a time."""
    import pyarrow as arrow
    from pyarrow.parquet import ParquetWriter

    n, dimension = table.embeddings.shape
    vectors = arrow.list_(arrow.float32(), dimension)
    schema = arrow.schema(
        {"index": arrow.int64(), "path": arrow.string(), "label": arrow.int64(), "name": arrow.string()}
        | {"embedding": vectors}
    )
    class_names = np.array(table.class_names, dtype=np.str_)
    with written_beside(path) as beside, ParquetWriter(beside, schema) as writer:
        for start in range(0, n, _ROWS):
            rows = slice(start, start + _ROWS)
            values = arrow.array(table.embeddings[rows].ravel())
            columns = [
                arrow.array(table.indices[rows]),
                arrow.array(table.paths[rows], arrow.string()),
                arrow.array(table.labels[rows]),
                arrow.array(_names(table.labels[rows], class_names).tolist(), arrow.string()),
                arrow.FixedSizeListArray.from_arrays(values, dimension),
            ]
            writer.write_table(arrow.table(columns, schema=schema))


def _names(labels: NDArray[np.int64], class_names: NDArray[np.str_]) -> NDArray[np.str_]:
    return class_names[labels] if len(class_names) else np.full(len(labels), "", dtype=np.str_)
