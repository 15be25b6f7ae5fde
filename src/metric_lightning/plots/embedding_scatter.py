"""The embedding as it is: its two dimensions, or its one against the class."""

from collections.abc import Mapping, Sequence

import torch
from matplotlib.figure import Figure

from metric_lightning.plots.scatter import Limits, Points, scatter_figure


def embedding_scatter(
    parts: Mapping[str, Points],
    class_names: Sequence[str],
    title: str = "Embedding by class",
    limits: Limits | None = None,
) -> Figure:
    """Draw embeddings of one or two dimensions, a panel for each part (train, test), on the same axes.

    Both axes have the same scale: what looks close is close.

    Args:
        parts: name of each part and its points, whose positions are embeddings (n, 1) or (n, 2).
        class_names: C names.
        title: of the figure.
        limits: the square shown of two dimensions; None: the smallest that holds all points.

    Raises:
        ValueError: embeddings of more than two dimensions.
    """
    dimensions = {points.positions.shape[1] for points in parts.values()}
    if not dimensions <= {1, 2}:
        raise ValueError(f"embeddings have {max(dimensions)} dimensions; a scatter shows 1 or 2, see tsne_figure")
    if dimensions == {1}:
        flat = {name: Points(_with_class(points, len(class_names)), points.labels) for name, points in parts.items()}
        return scatter_figure(flat, class_names, title, ("embedding (units of distance)", "class, one a row"))
    axis_names = ("embedding dimension 1 (units of distance)", "embedding dimension 2 (units of distance)")
    return scatter_figure(parts, class_names, title, axis_names, limits=limits)


def _with_class(points: Points, number: int) -> torch.Tensor:
    """The embedding, and a height for each class such that all fit into a square."""
    positions = points.positions.float()
    span = float(positions.max() - positions.min()) if len(positions) else 1.0
    return torch.cat([positions, points.labels[:, None] * (span or 1.0) / max(1, number - 1)], 1)
