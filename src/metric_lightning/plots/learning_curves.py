"""Scalars of a run over its steps."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metric_lightning.plots.canvas import entitle, new_figure, plain, shortened
from metric_lightning.plots.palette import COLOURS

Curve = tuple[Sequence[float], Sequence[float]]
"""Steps and values, equally many."""


class Level(NamedTuple):
    """A value that curves are compared with, drawn as a wide grey line.

    Attributes:
        name: what it is.
        value: of the panel's vertical axis.
    """

    name: str
    value: float


_LEAST_CHANGE = 0.05  # of a curve's value, what an axis spans at least
_LETTERS = 50  # of a curve's name, that fit below a panel
_STYLES = ("-", "--", "-.", ":")


def learning_curves(
    panels: Mapping[str, Mapping[str, Curve]],
    title: str = "Learning curves",
    levels: Mapping[str, Level] | None = None,
) -> Figure:
    """Draw panels side by side, each with its curves.

    Args:
        panels: title of each panel (its vertical axis) and its curves by name.
        title: of the figure.
        levels: by a panel's title a value to compare its curves with.

    Raises:
        ValueError: no panel.
    """
    if not panels:
        raise ValueError("panels={} is empty; give at least one")
    figure = new_figure(4.6 * len(panels) + 0.4, 4.4)
    entitle(figure, title)
    for axis, (name, curves) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for place, (curve, (steps, values)) in enumerate(curves.items()):
            marker = "o" if len(steps) <= 30 else None
            axis.plot(
                steps,
                values,
                color=COLOURS[place % len(COLOURS)],
                linestyle=_STYLES[place % len(_STYLES)],
                marker=marker,
                markersize=3,
                label=plain(shortened(curve, _LETTERS)),
            )
        if levels is not None and name in levels:
            level = levels[name]
            label = plain(f"{level.name}: {level.value:.4g}")
            # Wide and behind: a curve that lies on it hides neither itself nor the line.
            axis.axhline(level.value, color="0.75", linewidth=6, zorder=1, label=label)
        axis.set_xlabel("training step")
        axis.set_ylabel(plain(name))
        axis.grid(True, linewidth=0.3, alpha=0.5)
        if curves:
            axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False, fontsize=8)
            _show_flat_as_flat(axis)
    return figure


def _show_flat_as_flat(axis: Axes) -> None:
    """Widen the axis of curves that hardly change: a loss that stands at its margin shall not look as if it fell."""
    low, high = axis.get_ylim()
    middle = (low + high) / 2
    least = _LEAST_CHANGE * abs(middle)
    if high - low < least:
        axis.set_ylim(middle - least / 2, middle + least / 2)
    axis.ticklabel_format(axis="y", useOffset=False)
