"""Points in the plane, coloured by class, the class's name at its median.

n points, C classes.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from metric_lightning.plots.canvas import entitle, new_figure, plain, shortened
from metric_lightning.plots.palette import look

MOST_NAMES = 40  # names written into a plot though they cover each other
MOST_LEGEND = 20
_LETTER_WIDTH = 0.022  # of a name, in sides of the square
_NAME_HEIGHT = 2.3  # in widths of a letter


class Points(NamedTuple):
    """Points to be drawn.

    Attributes:
        positions: (n, 2).
        labels: (n,) int64.
    """

    positions: Tensor
    labels: Tensor


class Limits(NamedTuple):
    """A square of the plane, so that distances look alike in all directions."""

    left: float
    bottom: float
    side: float


def scatter_figure(
    panels: Mapping[str, Points],
    class_names: Sequence[str],
    title: str,
    axis_names: tuple[str, str],
    same_limits: bool = True,
    limits: Limits | None = None,
) -> Figure:
    """Draw panels side by side, and the classes' names beside them.

    Args:
        panels: title of each panel and its points; points that aren't finite are left out, and counted in the title.
        class_names: C names; of more than 20 classes there is no legend, and the title says that colours repeat; of
            more than 40 classes names are written where they cover no other.
        title: of the whole figure.
        axis_names: of the horizontal and the vertical axis, with unit.
        same_limits: all panels show the same square.
        limits: that square; None: the smallest that holds all points.

    Raises:
        ValueError: no panel.
    """
    if not panels:
        raise ValueError("panels={} is empty; give at least one")
    finite = {name: _finite(points) for name, points in panels.items()}
    if same_limits and limits is None:
        limits = limits_of([points.positions for points in finite.values()])
    present = sorted(set(torch.cat([points.labels for points in finite.values()]).tolist()))
    legend = 1 < len(present) <= MOST_LEGEND
    figure = new_figure(5.2 * len(panels) + 1.3 * legend, 5.6)
    entitle(figure, title + _note(len(present)))
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, points) in zip(axes, finite.items(), strict=True):
        left_out = len(panels[name].labels) - len(points.labels)
        axis.set_title(plain(name) + f", {left_out} not finite" * (left_out > 0), fontsize=11)
        axis.set_xlabel(axis_names[0])
        axis.set_ylabel(axis_names[1])
        draw_points(axis, points, class_names, limits or limits_of([points.positions]))
    if legend:
        figure.legend(
            handles=[_key(label, class_names) for label in present],
            loc="outside right center",
            frameon=False,
            title="class",
            fontsize=9,
        )
    return figure


def draw_points(
    axis: Axes,
    points: Points,
    class_names: Sequence[str],
    limits: Limits,
    size: float | None = None,
    name_size: float = 10.0,
    letter_width: float | None = None,
) -> None:
    """Draw the points of each class, and its name at the median of its points.

    Args:
        axis: to draw on.
        points: all finite.
        class_names: C names.
        limits: the square shown.
        size: of a marker, points squared; None: by the number of points.
        name_size: of the classes' names, points.
        letter_width: of a name, in sides of the square: names that would cover another are left out. None: of up to 40
            classes all names are written.
    """
    if size is None:
        size = 14.0 if len(points.labels) <= 1500 else 8.0
    classes = sorted(set(points.labels.tolist()))
    for label in classes:
        x, y = points.positions[points.labels == label].T
        colour, marker = look(label)
        axis.scatter(x.numpy(), y.numpy(), s=size, c=colour, marker=marker, alpha=0.75, linewidths=0)
    _write_names(axis, points, class_names, limits, name_size, letter_width)
    axis.set_xlim(limits.left, limits.left + limits.side)
    axis.set_ylim(limits.bottom, limits.bottom + limits.side)
    axis.set_aspect("equal")
    axis.locator_params(nbins=5)  # more labels of a collapsed embedding, -0.02125, would not fit side by side
    axis.grid(True, linewidth=0.3, alpha=0.5)
    axis.set_axisbelow(True)


def _write_names(
    axis: Axes,
    points: Points,
    class_names: Sequence[str],
    limits: Limits,
    name_size: float,
    letter_width: float | None,
) -> None:
    """Write each class's name in a box of its own, or those of neighbours, "1" and "0", would read as one."""
    classes = sorted(set(points.labels.tolist()))
    taken: list[tuple[float, float, float]] = []
    every = letter_width is None and len(classes) <= MOST_NAMES
    letter = limits.side * (letter_width or _LETTER_WIDTH)
    for label in classes:
        middle = points.positions[points.labels == label].median(dim=0).values
        x, y = float(middle[0]), float(middle[1])
        name = shortened(class_names[label])
        half = 0.5 * (len(name) + 1) * letter
        covers = any(abs(x - a) < half + b and abs(y - c) < _NAME_HEIGHT * letter for a, b, c in taken)
        if covers and not every:
            continue
        taken.append((x, half, y))
        axis.annotate(
            plain(name),
            (x, y),
            ha="center",
            va="center",
            fontsize=name_size,
            fontweight="bold",
            bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": look(label).colour, "alpha": 0.8},
        )


def limits_of(clouds: Sequence[Tensor]) -> Limits:
    """Return the smallest square, with a margin, that holds all positions; a unit square for none.

    Example:
        >>> limits_of([torch.tensor([[0.0, 0.0], [0.0, 2.0]])])
        Limits(left=-1.1..., bottom=-0.1..., side=2.2...)
    """
    positions = torch.cat([cloud.reshape(-1, 2) for cloud in clouds])
    if len(positions) == 0:
        return Limits(-0.5, -0.5, 1.0)
    low, high = positions.amin(0).double(), positions.amax(0).double()
    middle = (low + high) / 2
    # A collapsed embedding is one point: still a square that the axes can show.
    least = 1e-6 * max(1.0, float(middle.abs().max()))
    side = max(float((high - low).max()), least) * 1.1
    return Limits(float(middle[0]) - side / 2, float(middle[1]) - side / 2, side)


def _finite(points: Points) -> Points:
    kept = torch.isfinite(points.positions).all(1)
    return Points(points.positions[kept].detach().cpu().float(), points.labels[kept].cpu())


def _note(classes: int) -> str:
    if classes <= MOST_LEGEND:
        return ""
    names = ", names where there is room" if classes > MOST_NAMES else ""
    return f" ({classes} classes: colours repeat{names})"


def _key(label: int, class_names: Sequence[str]) -> Line2D:
    colour, marker = look(label)
    return Line2D([], [], color=colour, marker=marker, linestyle="", label=plain(shortened(class_names[label])))
