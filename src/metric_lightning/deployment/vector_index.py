"""Nearest neighbours among many embeddings: FAISS, exact or approximate.

n embeddings, D dimensions, q queries, k neighbours.
"""

import errno
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from metric_lightning.errors import UserError
from metric_lightning.extras import require
from metric_lightning.functional.pair_distances import TrueDistance, pair_distances
from metric_lightning.printable import printable

IndexKind = Literal["flat", "ivf", "hnsw"]
Floats = NDArray[np.float32]

BLOCK = 65_536  # rows that are handed over at once
_TRAINING_ROWS = 64  # for each list of an IVF index: more take longer and find hardly more
_CLASSES = {"flat": "IndexFlat", "ivf": "IndexIVFFlat", "hnsw": "IndexHNSWFlat"}  # FAISS's, some with L2 behind
_NEIGHBOURS = 32  # of each node of an HNSW graph


class VectorIndex:
    """n embeddings to search in.

    - "flat": compares with all; exact; 4 D bytes an embedding.
    - "ivf": parts the space into about 4 sqrt(n) lists and looks through the `effort` nearest; 4 D + 8 bytes.
    - "hnsw": walks a graph of neighbours, `effort` candidates at a time; 4 D + 256 bytes or so, slow to build.

    Distances of what is found are worked out anew in float64, so that a picture is 0 from itself; ties come in the
    order of rows. The cosine distance is searched for among unit vectors.

    Example:
        >>> index = VectorIndex.build(np.array([[0.0], [1.0], [5.0]], dtype=np.float32))
        >>> distances, positions = index.search(np.array([[4.0]], dtype=np.float32), k=2)
        >>> distances.tolist(), positions.tolist()
        ([[1.0, 3.0]], [[2, 1]])
    """

    def __init__(self, faiss_index: Any, kind: IndexKind, distance: TrueDistance):
        self._index = faiss_index
        self.kind, self.distance = kind, distance

    @classmethod
    def build(
        cls,
        embeddings: Floats,
        kind: IndexKind = "flat",
        distance: TrueDistance = "euclidean",
        effort: int | None = None,
        seed: int = 0,
    ) -> "VectorIndex":
        """Return an index of embeddings (n, D) float32, which may lie in a file (`numpy.memmap`).

        Args:
            embeddings: read in blocks of 65,536 rows; "ivf" trains on up to 64 rows for each list.
            kind: see above.
            distance: "euclidean" or "cosine".
            effort: lists ("ivf") or candidates ("hnsw") looked at for a query; None: a sixteenth of the lists, 16 at
                least; or 64 candidates.
            seed: of the rows that "ivf" trains on.

        Raises:
            ValueError: see `require_kind`.
            UserError: no embeddings, ones that aren't finite, or FAISS is not installed.
        """
        faiss = require("faiss", "search", "a search index")
        require_kind(kind, effort)
        if len(embeddings) == 0:
            raise UserError("there is nothing to index")
        n, dimension = embeddings.shape
        if kind == "flat":
            made = faiss.IndexFlatL2(dimension)
        elif kind == "hnsw":
            made = faiss.IndexHNSWFlat(dimension, _NEIGHBOURS)
            made.hnsw.efConstruction = 100
        else:
            lists = max(1, min(round(4 * n**0.5), n // 39))  # FAISS wants 39 rows or more to train a list
            made = faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension), dimension, lists)
            drawn = np.random.default_rng(seed).permutation(n)[: _TRAINING_ROWS * lists]
            made.train(_rows(embeddings, np.sort(drawn), distance))
        for start in range(0, n, BLOCK):
            made.add(_rows(embeddings, slice(start, start + BLOCK), distance))
        index = cls(made, kind, distance)._ready()
        index.set_effort(effort)
        return index

    def set_effort(self, effort: int | None) -> None:
        """Choose how much of an approximate index is looked at for a query, see `build`; an exact one looks at all."""
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = 64 if effort is None else effort
        elif self.kind == "ivf":
            lists = self._index.nlist
            self._index.nprobe = min(lists, max(16, lists // 16) if effort is None else effort)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        """D."""
        return int(self._index.d)

    def require_neighbours(self, k: int) -> None:
        """Refuse a number of neighbours that there aren't.

        Raises:
            UserError: k is below 1 or above n.
        """
        if not 1 <= k <= len(self):
            raise UserError(f"k={k} must be between 1 and {len(self)}, the number of pictures in the index")

    def search(self, queries: Floats, k: int) -> tuple[Floats, NDArray[np.int64]]:
        """Return the distances (q, k) and positions (q, k) of the nearest, nearest first.

        An approximate index may find fewer; what is missing has the distance inf and the position -1.

        Raises:
            UserError: `k` is too large, or the queries have another dimension.
        """
        self.require_neighbours(k)
        if queries.ndim != 2 or queries.shape[1] != self.dimension:
            raise UserError(f"queries must be (q, {self.dimension}), got {queries.shape}")
        if self.kind == "hnsw":
            self._index.hnsw.efSearch = max(self._index.hnsw.efSearch, k)
        rows = _unit(queries) if self.distance == "cosine" else np.ascontiguousarray(queries, dtype=np.float32)
        _, positions = self._index.search(rows, k)
        distances = np.full(positions.shape, np.inf, dtype=np.float32)
        found = positions >= 0
        stored = torch.from_numpy(self._index.reconstruct_batch(positions[found]))
        asked = torch.from_numpy(rows[found.nonzero()[0]])
        distances[found] = pair_distances(asked, stored, self.distance).numpy()
        order = np.lexsort((positions, distances))
        return np.take_along_axis(distances, order, 1), np.take_along_axis(positions, order, 1)

    def write(self, path: Path) -> None:
        """Write the vectors and what finds them, as FAISS does."""
        faiss = require("faiss", "search", "a search index")
        try:
            faiss.write_index(self._index, str(path))
        except RuntimeError as error:  # FAISS's own word for a full disk
            raise OSError(errno.ENOSPC, "FAISS can't write, the disk may be full", str(path)) from error

    @classmethod
    def read(cls, path: Path, kind: IndexKind, distance: TrueDistance) -> "VectorIndex":
        """Return what `write` has written.

        Raises:
            UserError: the file can't be read, holds an index of another kind, or FAISS is not installed.
        """
        faiss = require("faiss", "search", "a search index")
        try:
            found = faiss.read_index(str(path))
        except RuntimeError as error:
            raise UserError(f"{printable(path)} can't be read as an index; build it again") from error
        if not isinstance(found, getattr(faiss, _CLASSES[kind])):
            name = type(found).__name__
            raise UserError(f"{printable(path)} is not of the kind {kind!r} but a {name} of FAISS; build it again")
        return cls(found, kind, distance)._ready()

    def _ready(self) -> "VectorIndex":
        if self.kind == "ivf":
            self._index.make_direct_map()  # to look vectors up by their position
        return self


def require_kind(kind: str, effort: int | None = None) -> None:
    """Refuse what no index is built with.

    Raises:
        ValueError: an unknown `kind`, or `effort` below 1 or for the exact one.

    Example:
        >>> require_kind("flat", effort=8)
        Traceback (most recent call last):
        ValueError: effort=8 is for ivf and hnsw; flat compares with all embeddings: leave effort out
    """
    if kind not in get_args(IndexKind):
        raise ValueError(f"kind={kind!r} must be one of {', '.join(get_args(IndexKind))}")
    if effort is not None and effort < 1:
        raise ValueError(f"effort={effort} must be at least 1, or None")
    if effort is not None and kind == "flat":
        raise ValueError(f"effort={effort} is for ivf and hnsw; flat compares with all embeddings: leave effort out")


def _rows(embeddings: Floats, chosen: Any, distance: TrueDistance) -> Floats:
    rows = np.ascontiguousarray(embeddings[chosen], dtype=np.float32)
    if not np.isfinite(rows).all():
        raise UserError("embeddings hold nan or infinity: the network is broken; train it again")
    return _unit(rows) if distance == "cosine" else rows


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.where(lengths > 0, lengths, 1), dtype=np.float32)
