"""Pictures one after the other, as an animated GIF."""

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from metric_lightning.plots.canvas import Pixels


def animated_gif(frames: Sequence[Pixels], seconds_a_frame: float = 0.4, last_seconds: float = 2.0) -> bytes:
    """Return the content of a GIF that runs for ever.

    Args:
        frames: each (H, W, 3) uint8 of the same shape.
        seconds_a_frame: how long each is shown.
        last_seconds: how long the last is shown.

    Raises:
        ValueError: no frame.
    """
    if not frames:
        raise ValueError("frames=[] is empty; give at least one")
    # One palette for all frames: colours don't flicker, and frames share what doesn't change.
    few = [frames[0], frames[len(frames) // 2], frames[-1]]
    palette = Image.fromarray(np.concatenate(few)).quantize(128, dither=Image.Dither.NONE)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [int(1000 * seconds_a_frame)] * (len(images) - 1) + [int(1000 * last_seconds)]
    buffer = io.BytesIO()
    images[0].save(
        buffer, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=0, optimize=False
    )
    return buffer.getvalue()
