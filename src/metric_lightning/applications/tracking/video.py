"""Frames and crops of a video file, read by OpenCV."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metric_lightning.errors import DataNotFound, UserError

Frame = NDArray[np.uint8]


def open_cv() -> Any:
    """Return the module `cv2`.

    Raises:
        UserError: it isn't installed.
    """
    try:
        import cv2
    except ImportError as error:
        raise UserError('reading videos needs OpenCV: pip install -e ".[tracking]"') from error
    return cv2


def frames_of(path: str | Path) -> Iterator[tuple[int, Frame]]:
    """Yield (number, picture) of each frame; numbers count from 1, pictures are (height, width, 3) uint8, RGB.

    Raises:
        DataNotFound: there is no such file.
        UserError: it is no video that OpenCV can read.
    """
    cv2, path = open_cv(), Path(path).expanduser()
    if not path.is_file():
        raise DataNotFound(f"there is no video {path}; give the path of one")
    capture = cv2.VideoCapture(str(path))
    number = 0
    try:
        while True:
            there, picture = capture.read()
            if not there:
                break
            number += 1
            yield number, np.ascontiguousarray(picture[..., ::-1])
    finally:
        capture.release()
    if number == 0:
        raise UserError(f"{path} is no video that OpenCV can read; convert it to .mp4 or .avi")


def crop(picture: Frame, box: NDArray[np.float64], size: tuple[int, int], margin: float = 0.0) -> Frame:
    """Return what a box shows, scaled to `size`; beyond the edge the picture's border is repeated.

    Args:
        picture: (H, W, 3).
        box: left, top, width, height in pixels.
        size: (height, width) of the crop.
        margin: the box is widened by this share of its own size on each side.

    Returns:
        (height, width, 3) uint8.
    """
    cv2 = open_cv()
    left, top, width, height = box
    left, top = left - margin * width, top - margin * height
    width, height = max(1.0, width * (1 + 2 * margin)), max(1.0, height * (1 + 2 * margin))
    x0, y0, x1, y1 = (round(value) for value in (left, top, left + width, top + height))
    x1, y1 = max(x1, x0 + 1), max(y1, y0 + 1)
    rows = np.arange(y0, y1).clip(0, picture.shape[0] - 1)
    columns = np.arange(x0, x1).clip(0, picture.shape[1] - 1)
    part = np.ascontiguousarray(picture[rows[:, None], columns[None]])
    # Area averaging when it gets smaller: linear interpolation would alias.
    shrinks = part.shape[0] >= size[0] and part.shape[1] >= size[1]
    scaled = cv2.resize(part, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(scaled, dtype=np.uint8)


def crops(
    path: str | Path,
    frames: NDArray[np.int64],
    boxes: NDArray[np.float64],
    size: tuple[int, int] = (64, 32),
    margin: float = 0.0,
) -> Tensor:
    """Return what boxes show, in one pass through the video.

    Args:
        path: of the video.
        frames: (n,) frame of each box, counted from 1.
        boxes: (n, 4) left, top, width, height in pixels.
        size: (height, width) of a crop.
        margin: see `crop`.

    Returns:
        (n, 3, height, width) uint8, RGB.

    Raises:
        UserError: a box lies in a frame that the video does not have.
    """
    found = torch.zeros(len(frames), 3, *size, dtype=torch.uint8)
    last, length = int(frames.max(initial=0)), 0
    order = {int(number): np.flatnonzero(frames == number) for number in np.unique(frames)}
    for number, picture in frames_of(path):
        length = number
        for place in order.get(number, ()):
            found[place] = torch.from_numpy(crop(picture, boxes[place], size, margin)).permute(2, 0, 1)
        if number >= last:
            break
    if length < last or (len(frames) and frames.min() < 1):
        raise UserError(f"boxes lie in frames {frames.min()}..{last}, but {path} has 1..{length}; frames count from 1")
    return found
