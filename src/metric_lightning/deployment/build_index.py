"""Builds an index on disk from any number of pictures: embeddings stream through a file, not through memory."""

from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap

from metric_lightning.data.picture_check import faults as picture_faults
from metric_lightning.deployment.embedder import Embedder, refuse_faults
from metric_lightning.deployment.image_index import FACTS, ImageIndex
from metric_lightning.deployment.picture_table import PictureTable
from metric_lightning.deployment.pictures import picture_batches, require_batches
from metric_lightning.deployment.recall import recall_against_exact
from metric_lightning.deployment.vector_index import Floats, IndexKind, VectorIndex, require_kind
from metric_lightning.deployment.whole_folder import require_ours, scratch_folder
from metric_lightning.extras import require

_K, _QUERIES = 10, 500  # recall is measured with so many
_REMEDY = "mend them, or leave them out by --on_error skip"


class BuiltIndex(NamedTuple):
    """What was built.

    Attributes:
        pictures: number of them.
        classes: number of different class names.
        faults: a sentence for each picture that was left out.
        recall: share of the true nearest `k` that the index finds; None where it is exact.
        k: at most 10.
        queries: number of pictures of its own that it was measured with.
    """

    pictures: int
    classes: int
    faults: list[str]
    recall: float | None
    k: int
    queries: int


def build_index(
    embedder: Embedder,
    table: PictureTable,
    folder: Path,
    kind: IndexKind = "flat",
    effort: int | None = None,
    on_error: Literal["stop", "skip"] = "stop",
    batch_size: int = 256,
    num_workers: int = 0,
) -> BuiltIndex:
    """Write an index of pictures as a folder, whole or not at all, see `ImageIndex`.

    Memory: the index itself (about 4 D bytes a picture) and a few batches. The disk needs as much again meanwhile.

    Args:
        embedder: the model.
        table: the pictures.
        folder: where to; an index that is there is replaced.
        kind: see `VectorIndex`; of one that isn't exact the recall is measured and noted.
        effort: likewise.
        on_error: "stop" names pictures that can't be read before anything is embedded, and writes nothing; "skip"
            leaves them out.
        batch_size: pictures that are embedded at once.
        num_workers: processes that decode.

    Raises:
        ValueError, UserError: see `require_buildable`.
        UserError: pictures that can't be read, none that can, or no room.
    """
    require_buildable(folder, kind, effort, on_error, batch_size, num_workers)
    with scratch_folder(folder) as scratch:
        if on_error == "stop":
            refuse_faults(list(picture_faults(table.paths).values()), _REMEDY)
        embeddings, kept, faults = _embedded(embedder, table, scratch / "embeddings.npy", batch_size, num_workers)
        if on_error == "stop" or len(kept) == 0:
            refuse_faults(faults, _REMEDY)
        vectors = VectorIndex.build(embeddings, kind, embedder.distance, effort)
        k, queries = min(_K, len(kept)), min(_QUERIES, len(kept))
        recall = None if kind == "flat" else recall_against_exact(vectors, embeddings, k, queries)
        rows = table.rows(kept)
        index = ImageIndex(vectors, rows, embedder.fingerprint, embedder.checkpoint)
        measured = {} if recall is None else {f"recall_at_{k}": recall, "recall_queries": queries}
        index.save(folder, {"left_out": len(faults)} | measured)
    return BuiltIndex(len(kept), len(set(rows.labels) - {""}), faults, recall, k, queries)


def require_buildable(
    folder: Path, kind: IndexKind, effort: int | None, on_error: str, batch_size: int, num_workers: int
) -> None:
    """Refuse arguments of `build_index` that can't work, before any file is read.

    Raises:
        ValueError: a number out of its range, an unknown `kind` or `on_error`.
        UserError: FAISS is missing, or `folder` holds something else or can't be written.
    """
    require("faiss", "search", "a search index")
    require_kind(kind, effort)
    require_batches(batch_size, num_workers)
    if on_error not in ("stop", "skip"):
        raise ValueError(f'on_error must be "stop" or "skip", got {on_error!r}')
    require_ours(folder, known_by=FACTS)


def _embedded(
    embedder: Embedder, table: PictureTable, file: Path, batch_size: int, num_workers: int
) -> tuple[Floats, list[int], list[str]]:
    """Return the embeddings of the pictures that can be read, where these stand in the table, and the faults."""
    size = len(table.names)
    rows = open_memmap(file, mode="w+", dtype=np.float32, shape=(size, embedder.embedding_dim))
    kept: list[int] = []
    faults: list[str] = []
    for batch in picture_batches(table.paths, embedder.preprocessing, batch_size, num_workers):
        faults += batch.faults
        if batch.positions:
            rows[len(kept) : len(kept) + len(batch.positions)] = embedder.embed_pixels(batch.pixels).numpy()
            kept += batch.positions
    return rows[: len(kept)], kept, faults
