"""Angular mining: triplets whose negative sees the positive pair under a wide angle (Wang et al. 2017)."""

import math

from torch import Tensor

from metric_lightning.functional.draws import Look, draw_fitting
from metric_lightning.miners.base import RandomKeys, TripletMiner, ready_keys
from metric_lightning.types import Pairs, Triplets


class Angular(TripletMiner):
    """For each positive pair a random negative with atan(|a - p| / (2 |n - c|)) > `angle`, c the middle of a and p.

    The angle that Wang et al. 2017, Deep metric learning with angular loss, push down: unlike a margin it does not
    depend on scale. Popular code returns all such triplets, which grow with the cube of the batch; here each positive
    pair has one. |n - c| comes from the three distances of the triplet, so these must be Euclidean and the batch its
    own reference set: `CrossBatchMemory`, whose columns have no distances to each other, refuses it (and takes the
    `AngularLoss`). The choice needs rows other than the anchor's own (`row_wise` is False).

    A batch without positives or without negatives gives no triplets.

    Helps:
        With losses on triplets whose scale is not known: the angle has none.

    Collapses:
        When the angle is so wide that few triplets are left, or embeddings are no Euclidean ones.

    Args:
        angle: in degrees, above 0 and below 90; 20 is small enough to keep most triplets of an untrained network.
        seed: of the draws; each training step draws anew.

    Raises:
        ValueError: the angle is not between 0 and 90; called, the batch is not its own reference set.

    Example:
        >>> import torch
        >>> rows = torch.tensor([[0.0, 0.0], [2.0, 0.0], [1.0, 0.5], [1.0, 9.0]])
        >>> same = torch.tensor([[True, True, False, False]] * 2 + [[False, False, True, True]] * 2)
        >>> Angular(angle=45.0)(torch.cdist(rows, rows), Pairs(same & ~torch.eye(4, dtype=torch.bool), ~same))
        Triplets(anchor=tensor([0, 1]), positive=tensor([1, 0]), negative=tensor([2, 2]))
    """

    row_wise = False
    takes_references = False

    def __init__(self, angle: float = 20.0, seed: int = 0):
        super().__init__()
        if not 0 < angle < 90:
            raise ValueError(f"Angular: angle must be between 0 and 90 degrees, got {angle}")
        self.angle = angle
        self.random = RandomKeys(seed)

    def keys(self, anchors: Tensor) -> Tensor:
        """Return the random keys (N,) of this step."""
        return self.random(anchors)

    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets:
        """Return at most one triplet for each positive pair."""
        if distances.shape[0] != distances.shape[1]:
            raise ValueError(
                f"Angular: the batch must be its own reference set, got distances {tuple(distances.shape)}"
            )
        slope = (2 * math.tan(math.radians(self.angle))) ** 2

        def fits(anchor: Tensor, positive: Tensor, look: Look) -> Tensor:
            side = distances[anchor, positive][:, None].square()
            # The median of a triangle: |n - c|^2 = (|n - a|^2 + |n - p|^2) / 2 - |a - p|^2 / 4.
            median = (look(distances, anchor).square() + look(distances, positive).square()) / 2 - side / 4
            return (side > slope * median) & look(pairs.negative, anchor)

        return draw_fitting(pairs, ready_keys(self.random, pairs), fits)
