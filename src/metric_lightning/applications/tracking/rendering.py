"""Tracks drawn into the pictures: a strip of frames, or a video."""

from collections import defaultdict
from collections.abc import Sequence
from colorsys import hsv_to_rgb
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from metric_lightning.applications.tracking.detections import Detections
from metric_lightning.applications.tracking.video import Frame, frames_of, open_cv
from metric_lightning.errors import UserError

_GOLDEN = (5**0.5 - 1) / 2
_SHADES = ((0.85, 0.95), (0.4, 1.0), (0.9, 0.6))  # saturation and value
_TAIL = 10  # positions of a track that are shown behind it


def drawn(picture: Frame, frame: int, tracks: Detections) -> Frame:
    """Return a frame with the box, number and trail of each track, a colour for each identity.

    Args:
        picture: (H, W, 3).
        frame: its number.
        tracks: with identities.
    """
    image = Image.fromarray(picture)
    brush = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(12, picture.shape[0] // 32))
    for place in np.flatnonzero(tracks.frames == frame):
        identity = int(tracks.identities[place])
        colour = colour_of(identity)
        own = np.flatnonzero((tracks.identities == identity) & (tracks.frames <= frame))[-_TAIL:]
        feet = [(x + w / 2, y + h) for x, y, w, h in tracks.boxes[own].tolist()]
        if len(feet) > 1:
            brush.line(feet, fill="black", width=5, joint="curve")
            brush.line(feet, fill=colour, width=3, joint="curve")
        left, top, width, height = tracks.boxes[place].tolist()
        brush.rectangle((left - 1, top - 1, left + width + 1, top + height + 1), outline="black", width=5)
        brush.rectangle((left, top, left + width, top + height), outline=colour, width=3)
        text = str(identity)
        frame_of_text = brush.textbbox((left, top), text, font=font, anchor="lb")
        brush.rectangle(frame_of_text, fill=colour)
        brush.text((left, top), text, fill=_ink_on(colour), font=font, anchor="lb")
    return np.asarray(image)


def colour_of(identity: int) -> tuple[int, int, int]:
    """Return the colour (RGB, 0..255) of an identity: hues a golden ratio apart, so that near numbers differ much.

    Every third is full, pale or dark, as hues come near again after 13 numbers, and not everybody tells hues apart.

    Example:
        >>> colour_of(0), colour_of(1), colour_of(2)
        ((242, 36, 36), (153, 183, 255), (96, 153, 15))
    """
    red, green, blue = hsv_to_rgb(identity * _GOLDEN % 1, *_SHADES[identity % len(_SHADES)])
    return round(255 * red), round(255 * green), round(255 * blue)


def _ink_on(colour: tuple[int, int, int]) -> str:
    red, green, blue = colour
    return "black" if 0.299 * red + 0.587 * green + 0.114 * blue > 128 else "white"


def strip(video: str | Path, tracks: Detections, frames: Sequence[int], columns: int = 2) -> Frame:
    """Return several frames of a video with their tracks and, at the top left, their numbers: one picture, by rows.

    Raises:
        UserError: the video has no such frame.
    """
    wanted = sorted(set(frames))
    shown = [
        _numbered(drawn(picture, number, tracks), number) for number, picture in frames_of(video) if number in wanted
    ]
    if len(shown) < len(wanted) or not wanted:
        raise UserError(f"{video} has not all of the frames {wanted}; choose among its own, from 1 on")
    shown += [np.full_like(shown[0], 255)] * (-len(shown) % columns)
    rows = [np.concatenate(shown[start : start + columns], axis=1) for start in range(0, len(shown), columns)]
    return np.concatenate(rows, axis=0)


def _numbered(picture: Frame, number: int) -> Frame:
    image = Image.fromarray(picture)
    brush = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=max(12, picture.shape[0] // 24))
    place, text = (4, 4), f"frame {number}"
    brush.rectangle(brush.textbbox(place, text, font=font, stroke_width=3), fill="black")
    brush.text(place, text, fill="white", font=font)
    return np.asarray(image)


def write_video(path: Path, video: str | Path, tracks: Detections, frames_per_second: float = 2.0) -> None:
    """Write the tracked frames as a video (MP4), whole or not at all.

    Raises:
        UserError: OpenCV can't write there.
    """
    cv2 = open_cv()
    wanted = set(np.unique(tracks.frames).tolist())
    beside = path.with_name(f".{path.name}.unfinished.mp4")
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = None
    for number, picture in frames_of(video):
        if number not in wanted:
            continue
        if writer is None:
            size = (picture.shape[1], picture.shape[0])
            writer = cv2.VideoWriter(str(beside), cv2.VideoWriter_fourcc(*"mp4v"), frames_per_second, size)
        writer.write(np.ascontiguousarray(drawn(picture, number, tracks)[..., ::-1]))
    if writer is None or not writer.isOpened():
        beside.unlink(missing_ok=True)
        raise UserError(f"{path} can't be written as a video; is there a tracked frame, and room in its folder?")
    writer.release()
    beside.replace(path)


def crossings(tracks: Detections, count: int = 4) -> list[int]:
    """Return `count` frames to show, spread over the time, each the fullest of its share.

    Example:
        >>> boxes = np.zeros((4, 4))
        >>> seen = Detections(np.array([1, 2, 2, 3]), np.arange(4), boxes, np.ones(4, dtype=bool))
        >>> crossings(seen, 1)
        [2]
    """
    boxes_in: dict[int, int] = defaultdict(int)
    for frame in tracks.frames.tolist():
        boxes_in[frame] += 1
    shares = np.array_split(sorted(boxes_in), count)
    return [max(share.tolist(), key=lambda frame: boxes_in[frame]) for share in shares if len(share)]
