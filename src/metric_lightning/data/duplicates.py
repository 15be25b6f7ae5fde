"""Pictures that are in the data twice, bit for bit or nearly.

n, m samples of two parts; T a thumbnail's 256 values.
"""

import hashlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from metric_lightning.data.batch import Batch
from metric_lightning.data.dataset import LabelledDataset

SIDE = 16  # pixels of a thumbnail
ALIKE = 0.99  # correlation of thumbnails; pictures of one class rarely reach it, re-encoded or scaled ones do
_ROWS = 1024


class Looks(NamedTuple):
    """What is kept of each of n inputs to tell duplicates.

    Attributes:
        digests: n.
        thumbnails: (n, T), grey, mean 0 and length 1; zero for pictures of one colour.
    """

    digests: list[bytes]
    thumbnails: Tensor


def digests_of(dataset: LabelledDataset) -> list[bytes | None]:
    """Return a digest of every input, as the network gets it, or of its file where a data set has that without loading.

    None: its file is gone, or it is no tensor.
    """
    if len(dataset) and dataset.digest_of(0) is not None:
        return [dataset.digest_of(index) for index in range(len(dataset))]
    found: list[bytes | None] = []
    for places in torch.arange(len(dataset)).split(_ROWS // 4):
        inputs = dataset.__getitems__(places.tolist()).inputs
        found += _digests(inputs) if isinstance(inputs, Tensor) else [None] * len(places)
    return found


def _digests(inputs: Tensor) -> list[bytes]:
    return [hashlib.blake2b(value.numpy().tobytes(), digest_size=16).digest() for value in inputs.cpu().contiguous()]


def looks_of(batches: Iterable[Batch]) -> Looks:
    """Return what tells duplicates among inputs (n, channels, height, width).

    Example:
        >>> batch = Batch(torch.rand(2, 3, 20, 30), torch.zeros(2), torch.arange(2))
        >>> looks_of([batch]).thumbnails.shape
        torch.Size([2, 256])
    """
    digests, thumbnails = [], [torch.empty(0, SIDE * SIDE)]
    for batch in batches:
        digests += _digests(batch.inputs)
        grey = torch.nn.functional.adaptive_avg_pool2d(batch.inputs.cpu().float().mean(1, keepdim=True), SIDE).flatten(
            1
        )
        grey = grey - grey.mean(1, keepdim=True)
        length = grey.norm(dim=1, keepdim=True)
        plain = length < 1e-3 * SIDE
        thumbnails.append(torch.where(plain, 0.0, grey / length.masked_fill(plain, 1.0)))
    return Looks(digests, torch.cat(thumbnails))


def exact(first: Sequence[bytes | None], second: Sequence[bytes | None]) -> list[tuple[int, int]]:
    """Return pairs (place in first, place in second) of equal digests, one for each of second that has any.

    Example:
        >>> exact([b"a", b"b", None], [b"b", None])
        [(1, 0)]
    """
    place_of: dict[bytes, int] = {}
    for place, digest in enumerate(first):
        if digest is not None:
            place_of.setdefault(digest, place)
    return [(place_of[digest], place) for place, digest in enumerate(second) if digest in place_of]


def near(first: Looks, second: Looks, alike: float = ALIKE) -> list[tuple[int, int]]:
    """Return pairs of inputs whose thumbnails correlate at least `alike`, but that aren't equal: for each of second the
    one of first most like it.

    O(n m) time, O(n) memory.

    Example:
        >>> look = Looks([b"a"], torch.nn.functional.normalize(torch.arange(256.0)[None] - 127.5))
        >>> near(look, look._replace(digests=[b"b"])), near(look, look)
        ([(0, 0)], [])
    """
    if not first.digests or not second.digests:
        return []
    found = []
    for start in range(0, len(second.digests), _ROWS):
        values, places = (second.thumbnails[start : start + _ROWS] @ first.thumbnails.T).max(1)
        for row in (values >= alike).nonzero().flatten().tolist():
            place = int(places[row])
            if first.digests[place] != second.digests[start + row]:
                found.append((place, start + row))
    return found


def contrary(looks: Looks, labels: Tensor) -> list[tuple[int, int]]:
    """Return pairs (earlier, later) of equal inputs with different labels, one for each later.

    Example:
        >>> contrary(Looks([b"a", b"b", b"a"], torch.zeros(3, 256)), torch.tensor([0, 0, 1]))
        [(0, 2)]
    """
    first: dict[bytes, int] = {}
    pairs = [(first.setdefault(digest, place), place) for place, digest in enumerate(looks.digests)]
    return [(one, other) for one, other in pairs if labels[one] != labels[other]]
