"""A metric loss between places of feature maps: what shows the same kind of thing gets like features.

m feature maps with C channels of height h and width w, of pictures of H by W pixels.
"""

import torch
from torch import Tensor, nn

from metric_lightning.losses.base import MetricLoss
from metric_lightning.modules.ranks import loss_over_ranks
from metric_lightning.parts import Part


class PlaceLoss(Part, nn.Module):
    """`weight` times a metric loss on a random sample of places, each labelled by the kind of thing at its centre.

    The masks alone are a weak teacher of comparing: that a distractor is not shared says nothing of what it is. Here
    the places of all pictures of a batch are compared with one another, whether or not they are of one pair.

    Args:
        loss: any. One with class weights needs the number of kinds, the background among them, as its `num_classes`:
            `SoftmaxLoss(num_classes=25)`. Of pairs: `SupervisedContrastiveLoss()`, say, which learns more slowly.
        weight: in units of the masks' loss.
        objects: places on objects to draw from a batch, or all of them where they are fewer.
        background: places on the background likewise; they are one kind.

    Raises:
        ValueError: an argument outside its range.

    Example:
        >>> from metric_lightning.losses import SupervisedContrastiveLoss
        >>> loss = PlaceLoss(SupervisedContrastiveLoss())
        >>> value, _ = loss(torch.randn(4, 8, 3, 3), torch.arange(4)[:, None, None].expand(4, 12, 12) // 2)
        >>> value.shape
        torch.Size([])
    """

    def __init__(self, loss: MetricLoss, weight: float = 1.0, objects: int = 512, background: int = 64):
        super().__init__()
        if weight <= 0:
            raise ValueError(f"PlaceLoss: weight must be positive, got {weight}; leave the part out to do without")
        if objects < 2 or background < 0:
            raise ValueError(
                f"PlaceLoss: objects must be at least 2 and background at least 0, got {objects} and {background}"
            )
        self.loss, self.weight, self.objects, self.background = loss, weight, objects, background

    def build(self, channels: int) -> None:
        """Make the parts of the loss whose size comes from the encoder."""
        self.loss.build(None, channels)

    def forward(self, features: Tensor, kinds: Tensor) -> tuple[Tensor, Tensor]:
        """Return what this rank differentiates, and the weighted loss of all ranks' places (detached).

        Args:
            features: (m, C, h, w).
            kinds: (m, H, W) int64, 0 background, -1 undecided: never drawn.
        """
        rows, labels = features.permute(0, 2, 3, 1).flatten(0, 2), kinds_of_places(kinds, features.shape[2:]).flatten()
        drawn = torch.cat([_drawn(labels > 0, self.objects), _drawn(labels == 0, self.background)])
        differentiated, value = loss_over_ranks(self.loss, rows[drawn], labels[drawn])
        return self.weight * differentiated, self.weight * value


def kinds_of_places(kinds: Tensor, size: torch.Size) -> Tensor:
    """Return the kind (m, h, w) at the centre of each place of maps of this size, of kinds (m, H, W) of pixels.

    Example:
        >>> kinds_of_places(torch.arange(16).view(1, 4, 4), torch.Size([2, 2]))
        tensor([[[ 5,  7],
                 [13, 15]]])
    """
    row_step, column_step = (pixels // places for pixels, places in zip(kinds.shape[1:], size, strict=True))
    return kinds[:, row_step // 2 :: row_step, column_step // 2 :: column_step]


def _drawn(candidates: Tensor, count: int) -> Tensor:
    places = candidates.nonzero()[:, 0]
    return places[torch.randperm(len(places), device=places.device)[:count]]
