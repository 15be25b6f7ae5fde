"""A little video of coloured people who walk, meet, and are hidden for a while, with their boxes."""

from pathlib import Path

import cv2
import numpy as np

# identity: colour (RGB), first and last frame, start, pixels a frame
PEOPLE = {
    1: ((220, 30, 30), 1, 20, (10, 20), (3, 0)),
    2: ((30, 200, 40), 1, 20, (100, 60), (-3, 0)),
    3: ((40, 60, 220), 1, 20, (10, 100), (2, 0)),
    4: ((230, 220, 40), 1, 20, (110, 10), (0, 4)),
    5: ((200, 40, 200), 15, 40, (20, 30), (3, 1)),
    6: ((40, 200, 220), 21, 40, (120, 70), (-3, 0)),
}
MORE = {7: ((20, 20, 20), 1, 20, (60, 95), (1, 0)), 8: ((240, 240, 240), 1, 20, (140, 90), (0, -1))}
SIZE = (12, 24)


def write_replica(folder: Path, more: bool = False) -> tuple[Path, Path]:
    """Write `video.avi` of 40 frames, 160x128, and `boxes.csv` of every second one; with `more`, two more people."""
    video, table = folder / "video.avi", folder / "boxes.csv"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 128))
    lines = ["frame,id,x,y,w,h,conf"]
    for frame in range(1, 41):
        picture = np.full((128, 160, 3), 90, np.uint8)
        for identity, (colour, first, last, start, step) in (PEOPLE | MORE if more else PEOPLE).items():
            if not first <= frame <= last:
                continue
            left, top = (start[axis] + (frame - first) * step[axis] for axis in (0, 1))
            picture[max(0, top) : top + SIZE[1], max(0, left) : left + SIZE[0]] = colour
            if frame % 2 == 1:
                lines.append(f"{frame},{identity},{left},{top},{SIZE[0]},{SIZE[1]},{int(identity != 4 or frame > 3)}")
        writer.write(np.ascontiguousarray(picture[..., ::-1]))
    writer.release()
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return video, table
