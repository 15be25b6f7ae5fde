"""What boxes tell about each other without looking at pictures. Boxes are left, top, width, height in pixels."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def overlaps(first: Array, second: Array) -> Array:
    """Return the intersection over union of all pairs, in [0, 1]; boxes without area overlap nothing.

    Args:
        first: (n, 4).
        second: (m, 4).

    Returns:
        (n, m).

    Example:
        >>> overlaps(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2], [5.0, 5, 1, 1]])).round(3).tolist()
        [[0.333, 0.0]]
    """
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, :2] + first[:, None, 2:], second[None, :, :2] + second[None, :, 2:])
    common = (high - low).clip(0).prod(axis=2)
    union = first[:, None, 2:].prod(axis=2) + second[None, :, 2:].prod(axis=2) - common
    return common / np.where(union > 0, union, 1.0)


def centres(boxes: Array) -> Array:
    """Return the middle of each box, (n, 2).

    Example:
        >>> centres(np.array([[0.0, 0, 2, 4]])).tolist()
        [[1.0, 2.0]]
    """
    return boxes[:, :2] + boxes[:, 2:] / 2


def offsets(first: Array, second: Array) -> Array:
    """Return how far apart the centres of all pairs are, in heights of the first box, (n, m).

    Example:
        >>> offsets(np.array([[0.0, 0, 2, 4]]), np.array([[8.0, 0, 2, 4]])).tolist()
        [[2.0]]
    """
    apart = np.linalg.norm(centres(first)[:, None] - centres(second)[None], axis=2)
    return apart / np.maximum(first[:, None, 3], 1e-9)


def height_ratios(first: Array, second: Array) -> Array:
    """Return |log(h_1 / h_2)| of all pairs, (n, m): 0 for boxes of equal height.

    Example:
        >>> height_ratios(np.array([[0.0, 0, 2, 4]]), np.array([[8.0, 0, 2, 8]])).round(3).tolist()
        [[0.693]]
    """
    heights = [np.log(np.maximum(boxes[:, 3], 1e-9)) for boxes in (first, second)]
    return np.abs(heights[0][:, None] - heights[1][None])


def moved(boxes: Array, velocities: Array, frames: Array | NDArray[np.int64] | float) -> Array:
    """Return boxes (n, 4) moved on by their velocity (n, 2), pixels a frame, for so many frames.

    Example:
        >>> moved(np.array([[0.0, 0, 2, 4]]), np.array([[1.0, 0.5]]), 10).tolist()
        [[10.0, 5.0, 2.0, 4.0]]
    """
    steps = np.asarray(frames, dtype=np.float64).reshape(-1, 1)
    return np.concatenate([boxes[:, :2] + velocities * steps, boxes[:, 2:]], axis=1)


def velocity(frames: NDArray[np.int64], boxes: Array, window: int = 3) -> Array:
    """Return the mean velocity (2,) over the last `window` boxes of a track, pixels a frame; 0 of a single box.

    Example:
        >>> velocity(np.array([1, 6]), np.array([[0.0, 0, 2, 4], [10.0, 0, 2, 4]])).tolist()
        [2.0, 0.0]
    """
    frames, boxes = frames[-window:], boxes[-window:]
    if len(frames) < 2:
        return np.zeros(2)
    middle = centres(boxes)
    return np.asarray((middle[-1] - middle[0]) / (frames[-1] - frames[0]), dtype=np.float64)
