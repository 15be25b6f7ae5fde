"""Outcomes as pictures."""

import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image

from experiments.harness.outcome import Outcome
from experiments.harness.statistics import interval
from experiments.harness.table import figure_name
from metric_lightning.callbacks.conditions import Observation, collapsed
from metric_lightning.callbacks.embedding_health import health_of
from metric_lightning.plots import Points, pixels
from metric_lightning.plots.canvas import entitle, new_figure, plain, wrapped
from metric_lightning.plots.palette import BLUE, VERMILION
from metric_lightning.plots.scatter import draw_points, limits_of

_MOST_ROWS = 5
_LETTERS = 40  # of a panel's title, a line
_LETTER_WIDTH = 0.036  # of a class's name, in sides of a panel
_PARTS = ("train", "test")


def scatter_grid(files: dict[str, Path], title: str) -> Figure:
    """Draw the two-dimensional embeddings of several methods: a row each, training beside test set, on the same axes.

    Axes of a row are its own; an embedding that has collapsed, as `CollapseDiagnosis` says it, is marked as such. More
    than five methods stand side by side in two such blocks.

    Args:
        files: `points.npz` of a run, by method.
        title: of the figure.
    """
    blocks = 1 if len(files) <= _MOST_ROWS else 2
    rows = math.ceil(len(files) / blocks)
    figure = new_figure(2.7 * 2 * blocks, 2.8 * rows + 0.5)
    entitle(figure, f"{title} (each method on axes of its own)")
    axes = figure.subplots(rows, 2 * blocks, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    for place, (method, file) in enumerate(files.items()):
        with np.load(file) as arrays:
            class_names = arrays["class_names"].tolist()
            parts = {
                part: Points(torch.from_numpy(arrays[part]), torch.from_numpy(arrays[f"{part}_labels"]))
                for part in _PARTS
                if part in arrays
            }
        limits = limits_of([points.positions for points in parts.values()])
        block, row = divmod(place, rows)
        for column, (part, points) in enumerate(parts.items()):
            axis = axes[row, 2 * block + column]
            axis.set_axis_on()
            draw_points(axis, points, class_names, limits, size=5.0, name_size=8, letter_width=_LETTER_WIDTH)
            lines = [*wrapped(method, _LETTERS), f"{part}{': collapsed' * has_collapsed(points)}"]
            axis.set_title("\n".join(lines), fontsize=8)
            axis.tick_params(labelsize=6)
    figure.supxlabel("embedding dimension 1 (units of distance)", fontsize=9)
    figure.supylabel("embedding dimension 2 (units of distance)", fontsize=9)
    return figure


def has_collapsed(points: Points) -> bool:
    """Whether all points lie in one place, measured by how far that is from 0, and classes aren't told apart."""
    health = health_of(points.positions, points.labels, torch.cdist(points.positions, points.positions))
    seen = Observation(health, points.positions.shape[1], len(points.labels.unique()), None, math.nan, math.nan)
    return collapsed(seen) is not None


def dots_and_intervals(outcomes: Sequence[Outcome], figures: Sequence[str], title: str) -> Figure:
    """Draw the mean of a figure with its 95% interval, and every seed's as a dot below; a row for each method.

    The axis spans what was measured; a wider interval is cut off by it.
    """
    figure = new_figure(2.2 + 4.2 * len(figures), 1.2 + 0.3 * len(outcomes))
    entitle(figure, title, 12)
    axes = figure.subplots(1, len(figures), squeeze=False, sharey=True)[0]
    for axis, name in zip(axes, figures, strict=True):
        measured = [list(found.test(name).values()) for found in outcomes]
        for row, values in enumerate(measured):
            mean = interval(values)
            axis.scatter(values, [row + 0.25] * len(values), s=10, c=BLUE, linewidths=0)
            width = 0.0 if math.isnan(mean.half_width) else mean.half_width
            axis.errorbar(mean.mean, row, xerr=width, fmt="D", markersize=4, capsize=3, color=VERMILION)
        every = [value for values in measured for value in values] or [0.0]
        margin = 0.05 * (max(every) - min(every)) or 0.05
        axis.set_xlim(min(every) - margin, max(every) + margin)
        axis.set_xlabel(f"{figure_name(name)}, test set")
        axis.grid(True, linewidth=0.3, alpha=0.5)
        axis.set_axisbelow(True)
    axes[0].set_yticks(range(len(outcomes)), [plain(found.method) for found in outcomes])
    axes[0].invert_yaxis()
    return figure


def png_file(figure: Figure) -> bytes:
    """Return a figure as the content of a PNG file, see `small_png`."""
    return small_png(Image.fromarray(pixels(figure)))


def small_png(picture: Image.Image) -> bytes:
    """Return a picture as the content of a PNG file of 128 colours, small enough for a README."""
    buffer = io.BytesIO()
    picture.convert("RGB").quantize(128, dither=Image.Dither.NONE).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
