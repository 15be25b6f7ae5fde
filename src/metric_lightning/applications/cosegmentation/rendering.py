"""Pictures of pairs: what was shown, what is common, what was found."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from metric_lightning.applications.cosegmentation.masks import mask_figures
from metric_lightning.applications.cosegmentation.pairs import MaskedPairs, as_pictures
from metric_lightning.plots.canvas import entitle, new_figure

_TINT = torch.tensor([255.0, 0.0, 160.0])[:, None, None]


def tinted(pictures: Tensor, masks: Tensor) -> Tensor:
    """Return 8-bit pictures (..., 3, h, w), dimmed outside of the masks (..., h, w) and tinted inside.

    Example:
        >>> grey = torch.full((3, 1, 2), 100, dtype=torch.uint8)
        >>> tinted(grey, torch.tensor([[True, False]]))[0]
        tensor([[162,  35]], dtype=torch.uint8)
    """
    inside = masks.unsqueeze(-3)
    shown = torch.where(inside, 0.6 * pictures + 0.4 * _TINT, 0.35 * pictures)
    return shown.to(torch.uint8)


def pair_figure(pairs: MaskedPairs, predicted: dict[str, Tensor]) -> Figure:
    """Return a figure: for each pair (a column) both pictures, with their true masks, and with those each method found.

    Args:
        pairs: to be shown.
        predicted: (n, 2, h, w) bool by the name of a method.
    """
    pictures = as_pictures(pairs.images)
    rows: list[tuple[str, Tensor, Tensor | None]] = [("pictures", pictures, None)]
    rows.append(("true masks", tinted(pictures, pairs.masks), None))
    for name, masks in predicted.items():
        jaccard = mask_figures(masks.flatten(0, 1), pairs.masks.flatten(0, 1)).jaccard.unflatten(0, (-1, 2))
        rows.append((name, tinted(pictures, masks), jaccard))
    count = len(pictures)
    figure = new_figure(0.4 + 1.3 * count, 2.6 * len(rows) + 0.4)
    entitle(figure, "What two pictures have in common, a pair in each column", 12)
    axes = figure.subplots(2 * len(rows), count, squeeze=False)
    for row, (name, shown, jaccard) in enumerate(rows):
        for column in range(count):
            for side in range(2):
                axis = axes[2 * row + side][column]
                axis.imshow(shown[column, side].permute(1, 2, 0).numpy())
                axis.set(xticks=[], yticks=[])
                if jaccard is not None:
                    axis.set_xlabel(f"Jaccard {jaccard[column, side]:.2f}", fontsize=8, labelpad=1)
                if column == 0:
                    axis.set_ylabel(name if side == 0 else "", fontsize=9)
    return figure
