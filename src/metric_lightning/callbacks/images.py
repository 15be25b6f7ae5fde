"""Inputs of a network as pictures to look at."""

import torch
from torch import Tensor


def as_images(inputs: Tensor | None) -> Tensor | None:
    """Return normalised inputs as pictures (n, 3, H, W) uint8; None where they are no pictures.

    Each channel is stretched from its least to its largest value over all inputs, which undoes a normalisation by
    mean and standard deviation. Pictures have 1 (grey), 3 or 4 channels (the fourth is dropped).

    Args:
        inputs: (n, channels, H, W), or None.

    Example:
        >>> as_images(torch.tensor([-1.0, 3.0]).reshape(2, 1, 1, 1)).flatten(1)
        tensor([[  0,   0,   0],
                [255, 255, 255]], dtype=torch.uint8)
    """
    if inputs is None or inputs.ndim != 4 or inputs.shape[1] not in (1, 3, 4) or len(inputs) == 0:
        return None
    pictures = inputs[:, :3].detach().cpu().float()
    low, high = pictures.amin((0, 2, 3), keepdim=True), pictures.amax((0, 2, 3), keepdim=True)
    span = torch.where(high > low, high - low, 1.0)
    return ((pictures - low) / span * 255).round().to(torch.uint8).expand(-1, 3, -1, -1)
