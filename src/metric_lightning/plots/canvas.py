"""Figures without pyplot: no global state, no display, nothing to close."""

import io

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from metric_lightning.plots.letters import drawable, give_fonts
from metric_lightning.printable import printable

Pixels = NDArray[np.uint8]

DOTS_PER_INCH = 100


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` x `height` inches, laid out so that nothing overlaps.

    Example:
        >>> pixels(new_figure(2, 1)).shape
        (100, 200, 3)
    """
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def pixels(figure: Figure) -> Pixels:
    """Draw the figure; (height, width, 3) uint8."""
    give_fonts(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def png(image: Pixels) -> bytes:
    """Return an image (H, W, 3) or (H, W) uint8 as the content of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def plain(text: object) -> str:
    r"""Return a text as matplotlib shows it letter by letter: `$` starts no formula, `_` hides no legend entry.

    Tabs and ends of line become spaces, other characters that no font has are spelled out, and other letters that no
    font has are squares.

    Example:
        >>> plain("_5$")
        ' _5\\$'
    """
    escaped = drawable(printable(" ".join(str(text).split()))).replace("$", r"\$")
    return f" {escaped}" if escaped.startswith("_") else escaped
