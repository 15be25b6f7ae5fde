"""Omniglot's drawings as the pen went: in folders or zip files, `strokes_<part>/<alphabet>/<character>/NNNN_MM.txt`.

A file holds a line x,y,milliseconds for each point, BREAK behind each stroke; x goes from 0 to 105 and y down to -105.
"""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from metric_lightning.data.omniglot_files import Drawing, Read, files_of
from metric_lightning.errors import DataNotFound, UserError

PAPER = 105  # pixels a side
FEATURES = 5

_NAME = re.compile(r"(?:.*/)?([^/]+)/([^/]+)/\d+_(\d+)\.txt")
_EVALUATION = re.compile(r"(^|/)strokes_evaluation")


def find_strokes(roots: Sequence[str]) -> dict[Drawing, Read]:
    """Return how to read every drawing's strokes, in their order; what several places hold counts once.

    Args:
        roots: zip files, or folders that hold folders or zip files `strokes_*`, or the alphabets themselves.

    Raises:
        DataNotFound: a root doesn't exist, or there is no drawing in it.
    """
    found: dict[Drawing, Read] = {}
    for root in roots:
        path, seen = Path(root).expanduser(), False
        for name, read in files_of(path, "strokes", "txt"):
            match = _NAME.fullmatch(name)
            if match:
                alphabet, character, drawer = match.groups()
                found.setdefault(Drawing(bool(_EVALUATION.search(name)), f"{alphabet}/{character}", int(drawer)), read)
                seen = True
        if not seen:
            raise DataNotFound(
                f"Omniglot's pen strokes are not in {path}: put strokes_background.zip and strokes_evaluation.zip of "
                "github.com/brendenlake/omniglot there, or give the zip files as `strokes`"
            )
    return dict(sorted(found.items()))


def read_strokes(drawing: Drawing, read: Read) -> list[Tensor]:
    """Return the strokes of a drawing, each (P, 2) float32: x to the right and y down, in pixels of 105.

    Raises:
        UserError: the file is damaged.
    """
    strokes: list[list[list[float]]] = [[]]
    try:
        for line in read().decode().splitlines():
            if line.strip() == "BREAK":
                strokes.append([])
            elif line.strip() and line.strip() != "START":
                x, y = (float(word) for word in line.split(",")[:2])
                strokes[-1].append([x, -y])
    except (OSError, ValueError) as error:
        where = f"{drawing.character}, drawer {drawing.drawer}"
        raise UserError(f"the strokes of {where} can't be read ({error}); get Omniglot's strokes again") from error
    found = [torch.tensor(stroke) for stroke in strokes if stroke]
    if not found:
        raise UserError(f"the strokes of {drawing.character}, drawer {drawing.drawer}, hold no point; get them again")
    return found


def resampled(stroke: Tensor, spacing: float) -> Tensor:
    """Return points (Q, 2) on a stroke (P, 2), about `spacing` apart along it, its ends among them; a dot stays one.

    Example:
        >>> resampled(torch.tensor([[0.0, 0.0], [1.0, 0.0], [4.0, 0.0]]), spacing=2.0)
        tensor([[0., 0.], [2., 0.], [4., 0.]])
    """
    points = stroke.double().numpy()
    way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    if way[-1] == 0:
        return stroke[:1]
    wanted = np.linspace(0.0, way[-1], max(2, round(way[-1] / spacing) + 1))
    return torch.from_numpy(np.stack([np.interp(wanted, way, points[:, axis]) for axis in (0, 1)], 1)).float()


def stroke_features(points: Tensor, starts: Tensor, spacing: float) -> Tensor:
    """Return (T, 5) features of each point: place (x, y), step (dx, dy) from the point before, and 1 where a stroke
    starts.

    Places are measured from the centre of the paper in halves of it, steps in units of `spacing`; the first point's
    step is 0, that of a later stroke's start the way of the lifted pen.

    Args:
        points: (T, 2), in pixels of 105.
        starts: (T,) bool.
        spacing: of the points, in pixels.

    Example:
        >>> stroke_features(torch.tensor([[52.5, 52.5], [58.5, 52.5]]), torch.tensor([True, False]), spacing=6.0)[1]
        tensor([0.1143, 0.0000, 1.0000, 0.0000, 0.0000])
    """
    steps = torch.diff(points, dim=0, prepend=points[:1]) / spacing
    return torch.cat([points / (PAPER / 2) - 1, steps, starts[:, None].to(points)], 1)
