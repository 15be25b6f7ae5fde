"""Lists of pairs in a file: by index, by path, or as LFW lists them."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import torch
from torch import Tensor

_FORMS = "'sample sample 0|1' or 'sample sample 0|1 fold', a sample being an index or the end of a path"


class PairList(NamedTuple):
    """Pairs to be judged.

    Attributes:
        first: one sample of each pair: its index in its dataset as a decimal number, or the end of its path.
        second: the other.
        same: (n,) bool.
        folds: (n,) int64, or None where the file tells none.
    """

    first: list[str]
    second: list[str]
    same: Tensor
    folds: Tensor | None

    @property
    def by_index(self) -> bool:
        """Return whether samples are told by their indices."""
        return all(name.isdecimal() for name in (*self.first, *self.second))


def read_pairs(path: Path) -> PairList:
    r"""Read pairs from a text file.

    A line holds two samples, 1 for the same or 0 for different, and optionally a fold; separated by blanks or commas.
    A sample is its index in its dataset, or the end of its path ("George_W_Bush/George_W_Bush_0001.jpg"), by whole
    folders. Empty lines, and lines that start with #, are passed over.

    LFW's own lists (`pairs.txt`, `pairsDevTest.txt`) are read as they are: a first line with the number of folds (if
    there are some) and of pairs of a kind, then for each fold its same pairs, `name n m`, and its different ones, `name
    n other m`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line doesn't read so, or only some lines have a fold.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "pairs.txt").write_text("# first second same fold\n0 1 1 0\n0, 2, 0, 1\n")
        ...     pairs = read_pairs(Path(folder) / "pairs.txt")
        ...     _ = (Path(folder) / "lfw.txt").write_text("1\t1\nAda\t1\t4\nAda\t1\tBob\t2\n")
        ...     faces = read_pairs(Path(folder) / "lfw.txt")
        >>> pairs.second, pairs.same.tolist(), pairs.folds.tolist()
        (['1', '2'], [True, False], [0, 1])
        >>> faces.second, faces.same.tolist()
        (['Ada/Ada_0004.jpg', 'Bob/Bob_0002.jpg'], [True, False])
    """
    lines = [
        (number, line.replace(",", " ").split())
        for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), 1)
    ]
    lines = [(number, words) for number, words in lines if words and not words[0].startswith("#")]
    if lines and len(lines[0][1]) <= 2 and all(word.isdecimal() for word in lines[0][1]):
        return _lfw(path, [int(word) for word in lines[0][1]], lines[1:])
    rows: list[list[str]] = []
    for number, words in lines:
        good = len(words) in (3, 4) and words[2] in ("0", "1") and all(word.isdecimal() for word in words[3:])
        if not good or (rows and len(rows[0]) != len(words)):
            raise ValueError(f"{path}:{number}: {' '.join(words)!r} must be {_FORMS}, as all others")
        rows.append(words)
    if not rows:
        raise ValueError(f"{path} holds no pair; a line is {_FORMS}")
    first, second, same, *folds = (list(column) for column in zip(*rows, strict=True))
    numbers = torch.tensor([int(fold) for fold in folds[0]]) if folds else None
    if all(name.isdecimal() for name in (*first, *second)):
        first, second = ([str(int(name)) for name in side] for side in (first, second))
    return PairList(first, second, torch.tensor([word == "1" for word in same]), numbers)


def places_by_path(names: Sequence[str], paths: Sequence[str]) -> dict[str, int]:
    """Return which path ends with each name, by whole folders; names that none ends with are left out.

    Raises:
        ValueError: several paths end with a name.

    Example:
        >>> places_by_path(["Ada/1.jpg", "Bob/1.jpg"], ["faces/Bob/1.jpg", "faces/Ada/1.jpg"])
        {'Ada/1.jpg': 1, 'Bob/1.jpg': 0}
    """
    parts = [PurePosixPath(path.replace("\\", "/")).parts for path in paths]
    ends: dict[int, dict[tuple[str, ...], list[int]]] = {}
    found: dict[str, int] = {}
    for name in dict.fromkeys(names):
        wanted = PurePosixPath(name.replace("\\", "/")).parts
        if len(wanted) not in ends:
            by_end = ends[len(wanted)] = {}
            for place, path in enumerate(parts):
                by_end.setdefault(path[-len(wanted) :], []).append(place)
        places = ends[len(wanted)].get(wanted, [])
        if len(places) > 1:
            raise ValueError(
                f"{name} is the end of {len(places)} paths, {paths[places[0]]} and {paths[places[1]]} first; name more "
                "of its folders"
            )
        if places:
            found[name] = places[0]
    return found


def _lfw(path: Path, head: list[int], lines: list[tuple[int, list[str]]]) -> PairList:
    folds, each = head if len(head) == 2 else [1, head[0]]
    if not folds or not each or len(lines) != 2 * folds * each:
        raise ValueError(
            f"{path}: its first line announces {2 * folds * each} pairs, as LFW's lists do, but {len(lines)} follow"
        )
    first, second, same = [], [], []
    for place, (number, words) in enumerate(lines):
        is_same = place % (2 * each) < each
        ordered = [*words[:2], words[0], *words[2:]] if is_same else words
        if len(words) != (3 if is_same else 4) or not (ordered[1].isdecimal() and ordered[3].isdecimal()):
            form = "'name n m', a same pair" if is_same else "'name n other m', a different one"
            raise ValueError(f"{path}:{number}: {' '.join(words)!r} must be {form}: so LFW's lists are ordered")
        one, other = (f"{name}/{name}_{int(k):04d}.jpg" for name, k in (ordered[:2], ordered[2:]))
        first.append(one)
        second.append(other)
        same.append(is_same)
    numbers = torch.arange(len(lines)) // (2 * each)
    return PairList(first, second, torch.tensor(same), numbers if folds > 1 else None)
