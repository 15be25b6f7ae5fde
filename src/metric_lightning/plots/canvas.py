"""Figures without pyplot: no global state, no display, nothing to close."""

import io
import textwrap

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from metric_lightning.plots.letters import drawable, give_fonts
from metric_lightning.printable import printable

Pixels = NDArray[np.uint8]

DOTS_PER_INCH = 100
MOST_LETTERS = 24  # of a class's name in a plot
_LETTER, _LINE = 0.6, 1.25  # width of most letters and height of a line, in the font's size


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of `width` x `height` inches, laid out so that nothing overlaps.

    Example:
        >>> pixels(new_figure(2, 1)).shape
        (100, 200, 3)
    """
    figure = Figure(figsize=(width, height), dpi=DOTS_PER_INCH, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def entitle(figure: Figure, title: str, size: float = 13.0) -> None:
    r"""Give a figure its title, in as many lines as its width asks for; the figure grows by the second and later ones.

    Example:
        >>> figure = new_figure(4, 2)
        >>> entitle(figure, "Hardest triplets by squared Euclidean distance")
        >>> figure.get_suptitle(), bool(figure.get_figheight() > 2)
        ('Hardest triplets by squared\nEuclidean distance', True)
    """
    lines = wrapped(title, int(figure.get_figwidth() * 72 / (_LETTER * size)))
    figure.suptitle("\n".join(lines), fontsize=size)
    figure.set_figheight(figure.get_figheight() + (len(lines) - 1) * _LINE * size / 72)


def wrapped(text: str, letters: int) -> list[str]:
    """Return `plain` lines of at most so many letters, at least one line; words that are longer are broken.

    Example:
        >>> wrapped("horse, index 123", 12)
        ['horse, index', '123']
    """
    return [plain(line) for line in textwrap.wrap(" ".join(text.split()), max(letters, 1))] or [""]


def shortened(text: object, most: int = MOST_LETTERS) -> str:
    """Return a text of at most `most` letters, its middle left out where it is longer: both ends tell names apart.

    Example:
        >>> shortened("a very long name of a class, 17", 12)
        'a very…s, 17'
    """
    letters = " ".join(str(text).split())
    if len(letters) > most:
        letters = f"{letters[: most // 2]}…{letters[len(letters) - (most - 1) // 2 :]}"
    return letters


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
