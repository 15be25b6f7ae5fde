"""The picture of a loss or miner: where it pulls a toy batch, and what becomes of the batch."""

import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from torch import Tensor

from metric_lightning.functional.pairs import pairs_from_labels
from metric_lightning.losses import MetricLoss, PairwiseLoss
from metric_lightning.losses.class_weights import ClassWeightLoss
from metric_lightning.miners import Miner
from metric_lightning.plots.canvas import new_figure
from metric_lightning.plots.palette import BLUE, VERMILION, look
from metric_lightning.types import Pairs, References, TripletBand
from site_pages.toy import (
    CLASSES,
    Descent,
    class_weights,
    network_labels,
    pull,
    random_start,
    toy_labels,
)

_GRID = 41
_REACH = 2.0  # the largest distance on the map: the diameter of the unit circle


def loss_figure(loss: MetricLoss, found: Descent, escaped: Descent) -> Figure:
    """Draw a loss: its pull on the toy batch, the batch after the descent from both starts, its cost.

    Args:
        loss: built for the toy batch, and not yet moved.
        found: what became of `random_start`.
        escaped: what became of `collapsed_start`.
    """
    cost = cost_map(loss) if isinstance(loss, PairwiseLoss) else None
    angles = cost_by_angle(loss) if isinstance(loss, ClassWeightLoss) else None
    axes = _axes(3 + (cost is not None or angles is not None))
    _draw_start(axes[0], loss)
    _draw_results(axes[1:], found, escaped)
    if cost is not None:
        _draw_map(axes[3], cost)
    elif angles is not None:
        _draw_angles(axes[3], angles)
    return _finished(axes)


def miner_figure(miner: Miner, loss: MetricLoss, found: Descent, escaped: Descent, trained: Descent) -> Figure:
    """Draw a miner: what it picks of the toy batch, its loss's pull there, what becomes of the batch, and of a network.

    Args:
        miner: to be shown.
        loss: that takes what it picks, not yet moved.
        found: what became of `random_start`.
        escaped: what became of `collapsed_start`.
        trained: what a small network made of noisy samples.
    """
    axes = _axes(5)
    points = random_start()
    _draw_picks(axes[0], miner, points)
    _draw_start(axes[1], loss)
    _draw_results(axes[2:4], found, escaped)
    _draw_points(axes[4], trained.points, network_labels())
    axes[4].set_title(f"a small network from scratch\noverlap {trained.overlap:.2f}", fontsize=10)
    return _finished(axes)


def cost_map(loss: PairwiseLoss) -> Tensor | None:
    """Return (g, g) cost of an anchor by its distance to its one positive (columns) and its one negative (rows).

    All lie on the unit circle, the positive on one side, the negative on the other. None where a single anchor has no
    cost of its own, as a statistic of the whole batch.
    """
    if not loss.row_wise:
        return None
    distances = torch.linspace(0.02, _REACH - 0.02, _GRID)
    angles = 2 * torch.asin(distances / 2)
    places = torch.stack([angles.cos(), angles.sin()], 1)
    anchor, own, other = torch.tensor([[1.0, 0.0]]), torch.tensor([0]), torch.tensor([0, 1])
    rows = []
    loss.eval()
    with torch.no_grad():
        for negative in places * torch.tensor([1.0, -1.0]):
            columns = [References(torch.stack([positive, negative]), other) for positive in places]
            rows.append(torch.stack([loss(anchor, own, references) for references in columns]))
    loss.train()
    return torch.stack(rows)


def cost_by_angle(loss: ClassWeightLoss) -> tuple[Tensor, Tensor] | None:
    """Return degrees from the own class's weight, and the cost there of an anchor of length 1."""
    weights = class_weights(loss)
    if not len(weights):
        return None
    start = torch.atan2(weights[0, 1], weights[0, 0])
    degrees = torch.linspace(-180, 180, 361)
    angles = start + torch.deg2rad(degrees)
    with torch.no_grad():
        points = torch.stack([angles.cos(), angles.sin()], 1)
        costs = torch.stack([loss(point[None], torch.tensor([0])) for point in points])
    return degrees, costs


def _axes(count: int) -> list[Axes]:
    figure = new_figure(3.3 * count, 3.5)
    axes: list[Axes] = list(figure.subplots(1, count))
    return axes


def _finished(axes: list[Axes]) -> Figure:
    figure = axes[0].figure
    assert isinstance(figure, Figure)
    return figure


def _draw_start(axis: Axes, loss: MetricLoss) -> None:
    labels = toy_labels()
    points = random_start()
    arrows = 0.6 * pull(loss, points, labels)
    _draw_points(axis, points, labels)
    axis.quiver(*points.T, *arrows.T, angles="xy", scale_units="xy", scale=1, width=0.006, color="black")
    axis.set_title("where gradient descent\nmoves a toy batch", fontsize=10)


def _draw_results(axes: list[Axes], found: Descent, escaped: Descent) -> None:
    labels = toy_labels()
    for axis, result, start in ((axes[0], found, "that batch"), (axes[1], escaped, "a collapsed start")):
        _draw_points(axis, result.points, labels)
        if len(result.weights):
            size = float(result.points.norm(dim=1).median())
            # The last dimension but one counts classes, also where each has several weights.
            colours = [look(place % CLASSES).colour for place in range(len(result.weights))]
            axis.scatter(*(size * result.weights).T, marker="*", s=90, c=colours, edgecolor="black", zorder=3)
        axis.set_title(f"200 steps after {start}\noverlap {result.overlap:.2f}", fontsize=10)


def _draw_points(axis: Axes, points: Tensor, labels: Tensor) -> None:
    for label in labels.unique().tolist():
        colour, marker = look(label)
        axis.scatter(*points[labels == label].T, c=colour, marker=marker, s=36, linewidths=0, alpha=0.9)
    axis.set_aspect("equal", adjustable="datalim")
    axis.margins(0.15)
    axis.locator_params(nbins=4)
    axis.tick_params(labelsize=8)
    axis.set_xlabel("embedding dimension 1", fontsize=9)
    axis.set_ylabel("embedding dimension 2", fontsize=9)
    axis.grid(True, linewidth=0.3, alpha=0.5)
    axis.set_axisbelow(True)


def _draw_picks(axis: Axes, miner: Miner, points: Tensor) -> None:
    labels = toy_labels()
    positive, negative = picks(miner, points, labels)
    for pairs, colour, style in ((negative, VERMILION, "--"), (positive, BLUE, "-")):
        lines = [points[list(pair)].numpy() for pair in pairs]
        axis.add_collection(LineCollection(lines, colors=colour, linestyles=style, linewidths=0.9, alpha=0.6))
    _draw_points(axis, points, labels)
    axis.set_title(f"{len(positive)} positive (blue) and\n{len(negative)} negative pairs (dashed) picked", fontsize=10)


def picks(miner: Miner, points: Tensor, labels: Tensor) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """Return the unordered positive and negative pairs that the miner picks."""
    candidates = pairs_from_labels(labels, labels, torch.arange(len(labels)))
    distances = torch.cdist(points, points)
    picked = miner(distances, candidates)
    if isinstance(picked, TripletBand):
        picked = _in_band(distances, picked)
    if isinstance(picked, Pairs):
        return _unordered(*picked.positive.nonzero().T), _unordered(*picked.negative.nonzero().T)
    return _unordered(picked.anchor, picked.positive), _unordered(picked.anchor, picked.negative)


def _in_band(distances: Tensor, band: TripletBand) -> Pairs:
    """Return the pairs that are part of a triplet of the band."""
    farther = distances[:, None, :] - distances[:, :, None]  # [anchor, positive, negative]
    inside = (farther > band.above) & (farther <= band.below)
    inside &= band.pairs.positive[:, :, None] & band.pairs.negative[:, None, :]
    return Pairs(inside.any(2), inside.any(1))


def _unordered(rows: Tensor, columns: Tensor) -> set[tuple[int, int]]:
    return {(min(i, j), max(i, j)) for i, j in zip(rows.tolist(), columns.tolist(), strict=True)}


def _draw_map(axis: Axes, cost: Tensor) -> None:
    extent = (0.02, _REACH - 0.02, 0.02, _REACH - 0.02)
    image = axis.imshow(cost.numpy(), origin="lower", extent=extent, cmap="cividis")
    axis.contour(cost.numpy(), levels=8, extent=extent, colors="white", linewidths=0.5, origin="lower")
    axis.set_xlabel("distance to the positive", fontsize=9)
    axis.set_ylabel("distance to the negative", fontsize=9)
    axis.set_title("cost of an anchor\non the unit circle", fontsize=10)
    axis.tick_params(labelsize=8)
    figure = axis.figure
    assert isinstance(figure, Figure)
    figure.colorbar(image, ax=axis, shrink=0.7, label="cost").ax.tick_params(labelsize=8)


def _draw_angles(axis: Axes, curve: tuple[Tensor, Tensor]) -> None:
    degrees, costs = curve
    axis.plot(degrees.numpy(), costs.numpy(), color=BLUE)
    axis.set_xlabel("degrees from the own class's weight", fontsize=9)
    axis.set_title("cost of an anchor of length 1\n(other weights as drawn)", fontsize=10)
    axis.set_xticks([-180, -90, 0, 90, 180])
    axis.tick_params(labelsize=8)
    axis.grid(True, linewidth=0.3, alpha=0.5)
