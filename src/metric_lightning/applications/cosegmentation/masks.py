"""How good predicted masks are."""

from typing import NamedTuple

import torch
from torch import Tensor


class MaskFigures(NamedTuple):
    """Each (n,) float64, one number for each mask."""

    jaccard: Tensor
    precision: Tensor


def mask_figures(predicted: Tensor, truth: Tensor) -> MaskFigures:
    """Return Jaccard index and precision of each mask.

        jaccard = |P and T| / |P or T|        precision = share of all pixels, object or not, that are told right

    Both as the co-segmentation literature defines them; its "precision" is the accuracy of pixels. Where neither mask
    has a pixel the Jaccard index is 1.

    Args:
        predicted: (n, ...) bool.
        truth: (n, ...) bool.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> mask_figures(torch.tensor([[True, True, False, False]]), torch.tensor([[False, True, False, True]]))
        MaskFigures(jaccard=tensor([0.3333], dtype=torch.float64), precision=tensor([0.5000], dtype=torch.float64))
    """
    if predicted.shape != truth.shape:
        raise ValueError(f"masks must have one shape, got {tuple(predicted.shape)} and {tuple(truth.shape)}")
    predicted, truth = predicted.bool().flatten(1), truth.bool().flatten(1)
    common, either = (predicted & truth).sum(1).double(), (predicted | truth).sum(1).double()
    jaccard = torch.where(either > 0, common / either.clamp_min(1), 1.0)
    return MaskFigures(jaccard, (predicted == truth).double().mean(1))
