"""How well distances tell pairs of one class from pairs of different classes."""

import math

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from metric_lightning.functional.verification import PairCounts, count_pairs, equal_error_rate, roc_auc, roc_curve
from metric_lightning.plots.canvas import entitle, new_figure
from metric_lightning.plots.palette import BLUE, VERMILION

_BINS = 60
_WIDE = 8  # times as far
_LEAST_RATE = 1e-4


def verification_figure(
    distances: Tensor,
    same: Tensor,
    title: str = "Distances of pairs",
    unit: str = "units of distance",
    margin: float | None = None,
) -> Figure:
    """Draw the distances of both kinds of pairs, and the ROC curve of telling them apart by a threshold.

    Left: histograms of 60 bins, where pairs of a class lie much closer than others on an axis of square roots, and in
    the title their overlap: the probability that a pair of one class lies farther apart than a pair of different
    classes (1 - area under the ROC curve; 0: told apart, 0.5: no difference).
    Right: true accepts against false accepts on a logarithmic axis, with the point of equal error rates.

    Args:
        distances: (n,), finite.
        same: (n,) bool, whether a pair is of one class.
        title: of the figure.
        unit: of the distances.
        margin: of the loss, drawn among the distances; where it lies outside the legend says how far. None: unknown.

    Raises:
        ValueError: there is no pair of one kind.
    """
    pairs = count_pairs(distances, same)
    if not same.any() or same.all():
        raise ValueError(f"distances have {int(same.sum())} same pairs of {len(same)}; both kinds are needed")
    figure = new_figure(10.5, 5.4)
    entitle(figure, title)
    left, right = figure.subplots(1, 2)
    _draw_histograms(left, distances, same, unit)
    _draw_roc(right, pairs)
    if margin is not None:
        _draw_margin(left, margin, float(distances.max()))
    for axis in (left, right):  # below, for no corner is free of curves in every run
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False, fontsize=9)
    left.set_title(f"overlap {1 - roc_auc(pairs):.3f} (0: told apart, 0.5: no difference)", fontsize=11)
    return figure


def _draw_histograms(axis: Axes, distances: Tensor, same: Tensor, unit: str) -> None:
    low, high = float(distances.min()), float(distances.max())
    high = high if high > low else low + 1e-6
    # Told well apart, pairs of a class would all lie in the first bins of an axis as long as the farthest pair.
    is_wide = low >= 0 and float(distances[~same].median()) > _WIDE * float(distances[same].median())
    edges = np.linspace(low, high, _BINS + 1)
    if is_wide:
        edges = np.linspace(low**0.5, high**0.5, _BINS + 1) ** 2
        axis.set_xscale("function", functions=(_root, np.square))
        axis.set_xlim(edges[0], edges[-1])
        axis.set_xticks(sorted({tick for tick in map(_round, edges[::10]) if low <= tick <= high}))
        axis.xaxis.set_major_formatter("{x:g}")
    bins = edges.tolist()
    for kind, name, colour, hatch in ((same, "same class", BLUE, "//"), (~same, "different classes", VERMILION, "")):
        values = distances[kind].clamp(low, high).numpy()
        weights = np.full(len(values), 1 / len(values))
        label = f"{name} ({len(values):,} pairs)"
        axis.hist(values, bins, weights=weights, histtype="stepfilled", color=colour, alpha=0.35, hatch=hatch)
        axis.hist(values, bins, weights=weights, histtype="step", color=colour, linewidth=1.5, label=label)
    axis.set_xlabel(f"distance ({unit}{'; axis in square roots' * is_wide})")
    axis.set_ylabel("share of the pairs of a kind, in a bin")


def _round(value: float) -> float:
    """Return 0, or the nearest of 1, 2 and 5 times a power of ten: ticks that don't crowd each other."""
    if value <= 0:
        return 0.0
    power = 10.0 ** math.floor(math.log10(value))
    return min((digit * power for digit in (1.0, 2.0, 5.0, 10.0)), key=lambda tick: abs(math.log(value / tick)))


def _root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt(np.clip(values, 0, None))


def _draw_margin(axis: Axes, margin: float, largest: float) -> None:
    name = f"the loss's margin, {margin:g}"
    if margin <= largest:
        axis.axvline(margin, color="black", linestyle="--", linewidth=1.2, label=name)
    else:
        times = f", {margin / largest:.1g} times the largest distance" if largest > 0 else ""
        axis.plot([], [], color="black", linestyle="--", linewidth=1.2, label=f"{name}: outside{times}")


def _draw_roc(axis: Axes, pairs: PairCounts) -> None:
    accept, false_accept = roc_curve(pairs)
    rates = torch.logspace(np.log10(_LEAST_RATE), 0, 400, dtype=torch.float64)
    place = torch.searchsorted(false_accept, rates, right=True) - 1
    axis.plot(rates.numpy(), accept[place].numpy(), color=BLUE, linewidth=2, label="this embedding")
    axis.plot(rates.numpy(), rates.numpy(), color="gray", linestyle=":", label="by chance")
    error = equal_error_rate(pairs)
    if error >= _LEAST_RATE:
        axis.plot([error], [1 - error], "o", color=VERMILION, label=f"equal error rate {error:.3f}")
    axis.set_xscale("log")
    axis.set_xlim(_LEAST_RATE, 1)
    axis.set_ylim(0, 1.02)
    axis.set_xlabel("false accept rate (share of pairs of different classes)")
    axis.set_ylabel("true accept rate (share of same pairs)")
    axis.set_title(f"ROC curve, area {roc_auc(pairs):.3f}", fontsize=11)
    axis.grid(True, which="major", linewidth=0.3, alpha=0.5)
