"""Scores of queries against a gallery, as one matrix product, a block of rows at a time.

Q queries, M gallery items, D dimensions. Scores rank: a larger score is a smaller distance. What
they are in absolute terms is nobody's business.
"""

import math
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from metric_lightning.functional.unit_rows import unit_rows

Distance = Literal["euclidean", "cosine", "dot"]

# Numbers that a block holds: 8 MiB in float32, for more would leave the caches. A product of few rows is slow, however:
# blocks of scores have up to 128 rows while they hold no more than `LARGEST_BLOCK` numbers.
BLOCK_ELEMENTS = 2**21
LARGEST_BLOCK = 2**25


class Scores:
    """The (Q, M) scores, computed a block of rows at a time.

    Items with the same embedding, bit for bit, get the same score whatever the blocks: the product
    is taken with the different rows only. Other items tie when their scores are equal in the
    working precision: float32, and float64 for embeddings in float64.

    Args:
        queries: (Q, D).
        gallery: (M, D).
        distance: "euclidean" (the squared one ranks alike), "cosine", or "dot", whose larger
            products are closer.

    Raises:
        ValueError: shapes that don't go together, embeddings that aren't finite, or an unknown
        distance.

    Example:
        >>> scores = Scores(torch.tensor([[0.0]]), torch.tensor([[3.0], [-1.0], [3.0]]))
        >>> scores.block(torch.tensor([0])).argmax().item()
        1
    """

    def __init__(self, queries: Tensor, gallery: Tensor, distance: Distance = "euclidean") -> None:
        if queries.ndim != 2 or gallery.ndim != 2 or queries.shape[1] != gallery.shape[1]:
            raise ValueError(
                f"queries {tuple(queries.shape)} and gallery {tuple(gallery.shape)} must be (Q, D) and (M, D)"
            )
        if distance not in _PREPARE:
            raise ValueError(f"distance={distance!r} must be one of {', '.join(_PREPARE)}")
        precision = torch.float64 if torch.float64 in (queries.dtype, gallery.dtype) else torch.float32
        same = queries is gallery
        queries = check_finite(queries, "queries").detach().to(precision)
        gallery = queries if same else check_finite(gallery, "gallery").detach().to(precision)
        self.queries, gallery = _PREPARE[distance](queries, gallery)
        self.n_gallery = len(gallery)
        different, self._place = different_rows(gallery)
        self._gallery = different.t().contiguous()  # a tenth faster
        self._buffer = gallery.new_empty(0)

    def blocks(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Return `rows` (B,) in parts whose scores make a block."""
        n_rows = max(block_rows(self.n_gallery), min(128, LARGEST_BLOCK // max(1, self.n_gallery)))
        return rows.split(n_rows)

    def block(self, rows: Tensor) -> Tensor:
        """Return the (B, M) scores of the queries `rows` (B,): to be read and written until the next call."""
        n_elements = len(rows) * self._gallery.shape[1]
        if self._buffer.numel() < n_elements:
            self._buffer = self._gallery.new_empty(
                n_elements
            )  # fresh memory for every block costs as much as reading it
        scores = self._buffer[:n_elements].view(len(rows), self._gallery.shape[1])
        torch.mm(self.queries[rows], self._gallery, out=scores)
        return scores if self._place is None else scores[:, self._place]


def block_rows(width: int) -> int:
    """Return how many rows of `width` elements make a block (at least 8)."""
    return max(8, BLOCK_ELEMENTS // max(1, width))


def check_finite(embeddings: Tensor, name: str) -> Tensor:
    """Return `embeddings`, or raise ValueError where one is infinite or nan."""
    if not math.isfinite(largest(embeddings)):
        bad = int((~torch.isfinite(embeddings)).any(1).sum())
        raise ValueError(
            f"{bad} of {len(embeddings)} rows of {name} aren't finite: training has diverged, or data hold such "
            "values; lower the learning rate, or clip gradients (trainer.gradient_clip_val)"
        )
    return embeddings


def largest(values: Tensor) -> float:
    """Return the largest absolute value, 0 of none, in one pass."""
    if not values.numel():
        return 0.0
    low, high = torch.aminmax(values)
    return max(-float(low), float(high))


def different_rows(rows: Tensor) -> tuple[Tensor, Tensor | None]:
    """Return the different rows of a matrix and, for each row, its place among them (None: all rows differ).

    Example:
        >>> rows, place = different_rows(torch.tensor([[1.0], [2.0], [1.0]]))
        >>> len(rows), rows[place].flatten().tolist()
        (2, [1.0, 2.0, 1.0])
    """
    contents = np.ascontiguousarray((rows + 0.0).cpu().numpy())  # + 0.0 makes -0.0 and 0.0 one
    if contents.size == 0 or len({hash(row.tobytes()) for row in contents}) == len(rows):
        return rows, None
    opaque = contents.view(np.dtype((np.void, contents.dtype.itemsize * contents.shape[1]))).ravel()
    _, first, place = np.unique(opaque, return_index=True, return_inverse=True)
    if len(first) == len(rows):
        return rows, None
    return rows[torch.from_numpy(first).to(rows.device)], torch.from_numpy(place).to(rows.device)


def _euclidean(queries: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
    """<x, y> - |y|^2 / 2, which is (|x|^2 - |x - y|^2) / 2; the |x|^2 of a row doesn't change its
    order.

    Embeddings are moved to their centre, where least is cancelled, and scaled so that no square
    overflows or vanishes.
    """
    same = queries is gallery
    if len(gallery):
        centre = gallery.mean(0, keepdim=True)
        # Rounded to a power of two of the order of the spread: whole numbers stay exact, and with them their ties.
        grid = _power_of_two(gallery - centre)
        centre = (centre * grid).round() / grid
        gallery = gallery - centre
        queries = gallery if same else queries - centre
        scale = min(_power_of_two(gallery), _power_of_two(queries))
        gallery = gallery * scale
        queries = gallery if same else queries * scale
    half_squares = gallery.square().sum(1, keepdim=True) / 2
    return torch.cat([queries, torch.ones_like(queries[:, :1])], 1), torch.cat([gallery, -half_squares], 1)


def _cosine(queries: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
    """<x, y> of rows of length 1; a row of zeros keeps cosine 0 to everything."""
    return unit_rows(queries), unit_rows(gallery)


def _dot(queries: Tensor, gallery: Tensor) -> tuple[Tensor, Tensor]:
    return queries * _power_of_two(queries), gallery * _power_of_two(gallery)


def _power_of_two(values: Tensor) -> float:
    """A power of two (exact to multiply by) that brings the largest value to between 1/2 and 1."""
    size = largest(values)
    return 2.0 ** -min(max(math.frexp(size)[1], -120), 120) if size > 0 else 1.0


_PREPARE: dict[str, Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]] = {
    "euclidean": _euclidean,
    "cosine": _cosine,
    "dot": _dot,
}
