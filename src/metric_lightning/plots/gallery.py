"""Pictures in rows, framed by right and wrong.

n pictures, H x W pixels.
"""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from metric_lightning.plots.canvas import entitle, new_figure, plain, shortened, wrapped
from metric_lightning.plots.palette import BLUE, VERMILION

_INCHES = 1.2  # a column
_LETTERS = 17  # that fit below a picture
_MOST_LINES = 3


class Picture(NamedTuple):
    """A picture of a gallery.

    Attributes:
        image: (3, H, W) uint8; all of a gallery have the same shape.
        caption: below it, in up to three lines; the middle of a longer one is left out.
        right: framed in solid blue when True, in dashed vermilion when False, not at all when None.
    """

    image: Tensor
    caption: str
    right: bool | None = None


def gallery_figure(rows: Sequence[Sequence[Picture]], columns: Sequence[str], title: str) -> Figure:
    """Draw rows of pictures; a row may be shorter than others.

    Args:
        rows: the pictures.
        columns: titles of the columns, at least as many as the longest row; they may have two lines.
        title: of the figure.

    Raises:
        ValueError: no row.
    """
    if not rows:
        raise ValueError("rows=[] is empty; give at least one")
    height, width = rows[0][0].image.shape[1:]
    tall = height / width
    lines = max(len(_caption(picture)) for row in rows for picture in row)
    step = tall + 0.2 + 0.12 * (lines - 1)
    figure = new_figure(max(4.0, _INCHES * len(columns) + 0.2), _INCHES * step * len(rows) + 1.1)
    entitle(figure, title, 12)
    # One pair of axes for all: a pair for each picture would take seconds to lay out.
    axis = figure.subplots()
    axis.set_axis_off()
    for place, name in enumerate(columns):
        axis.text(
            place + 0.5,
            -0.06,
            "\n".join(plain(shortened(line, _LETTERS)) for line in name.split("\n")),
            ha="center",
            va="bottom",
            fontsize=9,
        )
    for line, row in enumerate(rows):
        for place, picture in enumerate(row):
            _draw(axis, picture, place + 0.06, line * step, 0.88, 0.88 * tall)
    axis.set_xlim(0, len(columns))
    axis.set_ylim(len(rows) * step, -0.4)
    axis.set_aspect("equal")
    return figure


def _caption(picture: Picture) -> list[str]:
    lines = wrapped(picture.caption, _LETTERS)
    return lines if len(lines) <= _MOST_LINES else wrapped(shortened(picture.caption, 2 * _LETTERS), _LETTERS)


def _draw(axis: Axes, picture: Picture, left: float, top: float, width: float, height: float) -> None:
    image = picture.image.permute(1, 2, 0).numpy()
    axis.imshow(image, extent=(left, left + width, top + height, top), interpolation="nearest")
    caption = "\n".join(_caption(picture))
    axis.text(left + width / 2, top + height + 0.04, caption, ha="center", va="top", fontsize=8, linespacing=1.1)
    if picture.right is not None:
        look: dict[str, str] = {"edgecolor": BLUE} if picture.right else {"edgecolor": VERMILION, "linestyle": "--"}
        axis.add_patch(Rectangle((left, top), width, height, fill=False, linewidth=3, **look))  # type: ignore[arg-type]
