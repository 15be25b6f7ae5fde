"""Boxes of what moves before a camera that stands still, for videos that come without detections.

    python -m experiments.moving_boxes --video vtest.avi --output moving.txt

Background subtraction (OpenCV's mixture of Gaussians) and connected regions of a plausible size: no people detector,
but enough to see the tracker at work on boxes that nobody drew. Two people side by side are one box.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from metric_lightning.applications.tracking.detections import Detections, write_mot
from metric_lightning.applications.tracking.video import frames_of, open_cv
from metric_lightning.errors import UserError


def main(arguments: Sequence[str]) -> str:
    """Write the boxes of every so many frames in MOT format, identity -1, and say how many."""
    options = _options(arguments)
    cv2 = open_cv()
    background = cv2.createBackgroundSubtractorMOG2(history=300, varThreshold=25, detectShadows=True)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 7))
    frames, boxes = [], []
    for number, picture in frames_of(options.video):
        moving = (background.apply(picture) == 255).astype(np.uint8)  # 127 is shadow
        if (number - 1) % options.every or number <= options.warm_up:
            continue
        whole = cv2.morphologyEx(cv2.morphologyEx(moving, cv2.MORPH_OPEN, np.ones((2, 2))), cv2.MORPH_CLOSE, kernel)
        whole = cv2.dilate(whole, kernel, iterations=2)
        regions = cv2.connectedComponentsWithStats(whole)[2][1:, :4]
        for left, top, width, height in regions.tolist():
            if options.height[0] <= height <= options.height[1] and 1.2 <= height / width <= 5:
                frames.append(number)
                boxes.append([left, top, width, height])
    count = len(frames)
    found = Detections(np.array(frames), np.full(count, -1), np.array(boxes, float), np.ones(count, dtype=bool))
    write_mot(Path(options.output), found)
    return f"{count} boxes in {len(set(frames))} frames: {options.output}"


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m experiments.moving_boxes", description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--video", required=True)
    add("--output", default="moving.txt")
    add("--every", type=int, default=5, help="look at every so many frames")
    add("--warm_up", type=int, default=30, help="frames to learn the background from")
    add("--height", type=int, nargs=2, default=(45, 170), help="least and largest height of a box, in pixels")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        print(main(sys.argv[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
