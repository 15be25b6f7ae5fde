"""Lists of pairs in a file."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor


class PairList(NamedTuple):
    """Pairs to be judged.

    Attributes:
        first: the index of one sample of each pair.
        second: that of the other.
        same: (n,) bool.
        folds: (n,) int64, or None where the file tells none.
    """

    first: list[int]
    second: list[int]
    same: Tensor
    folds: Tensor | None


def read_pairs(path: Path) -> PairList:
    r"""Read pairs from a text file.

    A line holds the indices of two samples in their dataset, 1 for the same or 0 for different, and optionally a fold;
    separated by blanks or commas. Empty lines, and lines that start with #, are passed over.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line doesn't read so, or only some lines have a fold.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "pairs.txt").write_text("# first second same fold\n0 1 1 0\n0, 2, 0, 1\n")
        ...     pairs = read_pairs(Path(folder) / "pairs.txt")
        >>> pairs.second, pairs.same.tolist(), pairs.folds.tolist()
        ([1, 2], [True, False], [0, 1])
    """
    rows: list[list[int]] = []
    for number, line in enumerate(path.read_text().splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        good = len(words) in (3, 4) and all(word.isdecimal() for word in words) and words[2] in ("0", "1")
        if not good or (rows and len(rows[0]) != len(words)):
            raise ValueError(
                f"{path}:{number}: {line!r} must be 'index index 0|1' or 'index index 0|1 fold', as all others"
            )
        rows.append([int(word) for word in words])
    if not rows:
        raise ValueError(f"{path} holds no pair; a line is 'index index 0|1' or 'index index 0|1 fold'")
    first, second, same, *folds = (list(column) for column in zip(*rows, strict=True))
    return PairList(first, second, torch.tensor(same).bool(), torch.tensor(folds[0]) if folds else None)
