"""Which classes are close to each other.

C classes.
"""

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

from metric_lightning.plots.canvas import entitle, new_figure, plain, shortened

_MOST_CLASSES = 40
_MOST_NUMBERS = 16


def class_confusion(embeddings: Tensor, labels: Tensor, n_classes: int) -> Tensor:
    """Return (C, C) float64: distance of class means in units of the classes' own radius; below 2 they touch.

    d(i, j) = |m_i - m_j| / sqrt((r_i^2 + r_j^2) / 2), r the root mean square distance from the mean m. The diagonal,
    and classes without samples, are nan; classes of one point each are infinitely far apart.

    Args:
        embeddings: (n, D), finite.
        labels: (n,) int64 in 0..C-1.
        n_classes: C.

    Example:
        >>> line = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
        >>> class_confusion(line, torch.tensor([0, 0, 1, 1]), 2)[0, 1].item()
        10.0
    """
    members = torch.nn.functional.one_hot(labels, n_classes).double()
    counts = members.sum(0)[:, None]
    means = members.T @ embeddings.double() / counts
    radii = members.T @ (embeddings.double() - means[labels]).square().sum(1, keepdim=True) / counts
    distances = (means[:, None] - means[None]).norm(dim=2)
    return (distances / ((radii + radii.T) / 2).sqrt()).fill_diagonal_(torch.nan)


def class_distances_figure(
    confusion: Tensor, class_names: Sequence[str], title: str = "Distances of classes"
) -> Figure:
    """Draw the distances of classes as a map; dark: close, likely to be confused. Of many classes the closest ones.

    Args:
        confusion: (C, C), from `class_confusion`.
        class_names: C names.
        title: of the figure.
    """
    nearest = confusion.nan_to_num(torch.inf).amin(1)
    shown = nearest.sort(stable=True).indices[:_MOST_CLASSES].sort().values
    shown = shown[~confusion[shown].isnan().all(1)]
    values = confusion[shown][:, shown]
    side = max(4.5, min(11.0, 0.42 * len(shown) + 2.0))
    figure = new_figure(side + 1.2, side)
    few = "" if len(shown) == len(confusion) else f", the {len(shown)} classes that are closest to another"
    entitle(figure, title + few, 12)
    axis = figure.subplots()
    finite = values[torch.isfinite(values)]
    most = float(finite.quantile(0.95)) if len(finite) else 1.0
    image = axis.imshow(values.numpy(), cmap="cividis", vmin=0.0, vmax=max(most, 2.0))
    names = [plain(shortened(class_names[label])) for label in shown.tolist()]
    if max(map(len, names), default=0) > 3:  # turned about the end of the name, which stands at its column
        axis.set_xticks(range(len(shown)), names, rotation=45, ha="right", rotation_mode="anchor")
    else:
        axis.set_xticks(range(len(shown)), names)
    axis.set_yticks(range(len(shown)), names)
    axis.set_xlabel("class")
    axis.set_ylabel("class")
    if len(shown) <= _MOST_NUMBERS:
        for i, row in enumerate(values.tolist()):
            for j, value in enumerate(row):
                if i != j:
                    colour = "white" if value < 0.55 * max(most, 2.0) else "black"
                    axis.text(j, i, f"{value:.1f}", ha="center", va="center", fontsize=8, color=colour)
    figure.colorbar(image, ax=axis, label="distance of class means\n(class radii; below 2 they touch)", extend="max")
    return figure
