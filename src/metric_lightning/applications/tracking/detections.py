"""Boxes found in the frames of a video, and the files they are read from and written to."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from metric_lightning.errors import DataNotFound, UserError
from metric_lightning.files import write_atomically

_COLUMNS = ("frame", "id", "x", "y", "w", "h")


class Detections(NamedTuple):
    """n boxes, frame by frame.

    Attributes:
        frames: (n,) int64, counted from 1.
        identities: (n,) int64; of a file without identities -1.
        boxes: (n, 4) float64: left, top, width, height in pixels.
        considered: (n,) bool, False for boxes that an evaluation leaves out (`conf` 0 of MOT ground truth).
    """

    frames: NDArray[np.int64]
    identities: NDArray[np.int64]
    boxes: NDArray[np.float64]
    considered: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> "Detections":
        """Return some of them, by mask or by positions."""
        return Detections(self.frames[chosen], self.identities[chosen], self.boxes[chosen], self.considered[chosen])

    def with_identities(self, identities: Sequence[int] | NDArray[np.int64]) -> "Detections":
        """Return the same boxes under other identities."""
        return self._replace(identities=np.asarray(identities, dtype=np.int64))


def read_detections(path: str | Path) -> Detections:
    r"""Read boxes of a CSV file with columns frame, id, x, y, w, h and maybe conf, or of a MOT text file.

    A MOT text file has no header: frame, id, x, y, w, h, conf, and whatever else. In ground truth a `conf` of 0 marks
    boxes that the evaluation ignores.

    Raises:
        DataNotFound: there is no such file.
        UserError: a column is missing, or something is no number; the message names the line.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "gt.txt"
        >>> _ = path.write_text("2,7,10,20,30,60,1,-1,-1,-1\n1,7,8,20,30,60,0,-1,-1,-1\n")
        >>> found = read_detections(path)
        >>> found.frames.tolist(), found.considered.tolist()
        ([1, 2], [False, True])
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise DataNotFound(f"there is no file of detections {path}; give a CSV (frame,id,x,y,w,h[,conf]) or a MOT text")
    with path.open(newline="", encoding="utf-8") as file:
        lines = [line for line in csv.reader(file) if line]
    named = bool(lines) and not _is_number(lines[0][0])
    header = [name.strip().lower() for name in lines[0]] if named else [*_COLUMNS, "conf"]
    missing = [name for name in _COLUMNS if name not in header]
    if missing:
        raise UserError(f"{path} has no column {missing[0]!r}; its header must name {', '.join(_COLUMNS)}")
    places = [header.index(name) for name in _COLUMNS]
    score = header.index("conf") if "conf" in header else None
    rows = []
    for number, line in enumerate(lines[named:], start=1 + named):
        try:
            conf = 1.0 if score is None or score >= len(line) else float(line[score])
            rows.append([*(float(line[place]) for place in places), conf])
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{path}, line {number}: {','.join(line)!r} isn't {','.join(_COLUMNS)} ({error})"
            ) from error
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    return Detections(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:6], table[:, 6] != 0)


def mot_text(tracks: Detections) -> str:
    r"""Return tracks in the MOT Challenge's format: frame, id, x, y, w, h, conf, -1, -1, -1.

    Example:
        >>> one = Detections(np.array([3]), np.array([1]), np.array([[1.5, 2.0, 3.0, 4.0]]), np.array([True]))
        >>> mot_text(one)
        '3,1,1.50,2.00,3.00,4.00,1,-1,-1,-1\n'
    """
    lines = []
    for frame, identity, box in zip(tracks.frames, tracks.identities, tracks.boxes, strict=True):
        lines.append(f"{frame},{identity},{','.join(f'{value:.2f}' for value in box)},1,-1,-1,-1\n")
    return "".join(lines)


def write_mot(path: Path, tracks: Detections) -> None:
    """Write `mot_text` to a file, whole or not at all."""
    write_atomically(path, mot_text(tracks))


def between(detections: Detections, longest: int = 10) -> Detections:
    """Add boxes for the frames between two boxes of an identity, on the straight line between them.

    For training material where only every so many frames are annotated.

    Args:
        detections: with identities.
        longest: frames between two boxes above which nothing is added.

    Example:
        >>> two = Detections(np.array([1, 3]), np.array([5, 5]), np.array([[0.0, 0, 2, 4], [8.0, 0, 2, 4]]),
        ...                  np.array([True, True]))
        >>> between(two).frames.tolist(), between(two).boxes[1].tolist()
        ([1, 2, 3], [4.0, 0.0, 2.0, 4.0])
    """
    added = [detections]
    for identity in np.unique(detections.identities):
        own = detections.where(detections.identities == identity)
        for start, stop in zip(range(len(own.frames) - 1), range(1, len(own.frames)), strict=True):
            first, last = int(own.frames[start]), int(own.frames[stop])
            if not 1 < last - first <= longest or not (own.considered[start] and own.considered[stop]):
                continue
            frames = np.arange(first + 1, last)
            share = ((frames - first) / (last - first))[:, None]
            boxes = (1 - share) * own.boxes[start] + share * own.boxes[stop]
            count = len(frames)
            added.append(Detections(frames, np.full(count, identity), boxes, np.ones(count, dtype=np.bool_)))
    joined = Detections(*(np.concatenate(columns) for columns in zip(*added, strict=True)))
    return joined.where(np.lexsort((joined.identities, joined.frames)))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
