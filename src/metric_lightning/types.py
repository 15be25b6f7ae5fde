"""The few shapes of data that all parts speak.

N anchors (rows) are compared with M references (columns); D is the embedding dimension.
"""

from typing import Any, NamedTuple

from torch import Tensor


class Pairs(NamedTuple):
    """Which (anchor, reference) pairs count. A pair in neither mask is ignored.

    Attributes:
        positive: (N, M) bool.
        negative: (N, M) bool.
        keys: (N,) int64 or None. Random key of each anchor: all that a miner draws at random for a row is a function
            of its key and of the column, so that blocks of rows, or ranks, draw what one process would.
    """

    positive: Tensor
    negative: Tensor
    keys: Tensor | None = None


class Triplets(NamedTuple):
    """Index vectors (T,) int64: rows for `anchor`, columns for `positive` and `negative`."""

    anchor: Tensor
    positive: Tensor
    negative: Tensor


class TripletBand(NamedTuple):
    """All triplets of `pairs` with above < d_an - d_ap <= below, said in one word instead of listed."""

    pairs: Pairs
    above: float
    below: float


class References(NamedTuple):
    """The columns of a batch.

    Attributes:
        embeddings: (M, D).
        labels: (M,).
        own: (N,) int64, the column that is the anchor itself, or None where anchors are not among the references.
        numbers: (N,) int64, which of the whole batch's anchors each is: random miners draw by it, so that ranks draw as
            one process does. None: `own`, and without it 0, 1, ...
    """

    embeddings: Tensor
    labels: Tensor
    own: Tensor | None = None
    numbers: Tensor | None = None


class Ratio(NamedTuple):
    """A sum over anchors and what it is divided by; or, before reduction, each anchor's share (N,) of both."""

    total: Tensor
    count: Tensor  # type: ignore[assignment]  # a tuple has a method of this name


class Sequences(NamedTuple):
    """n sequences of different lengths, filled up to the longest; what fills up means nothing.

    Attributes:
        steps: (n, T, F) floating point, or (n, T) int64 where a step is one of a vocabulary.
        lengths: (n,) int64, each at least 1.
    """

    steps: Tensor
    lengths: Tensor


class TwoViews(NamedTuple):
    """n samples, each seen in two ways: a picture and a text, say. Each of the two is a batch of inputs."""

    first: Any
    second: Any


InputShape = tuple[int, ...] | tuple[tuple[int, ...], ...]
"""Shape of one input, without the batch dimension; of two views the shapes of both.

An image is (channels, height, width); a sequence (F,), the features of a step, or (V,), the size of the vocabulary.
"""
