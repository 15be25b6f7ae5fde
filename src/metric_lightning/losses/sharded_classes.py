"""Losses whose class weights are too many for one device: each rank holds a share of the classes."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from metric_lightning.losses.class_weights import ClassWeightLoss


class ShardSums(NamedTuple):
    """What one share of the classes says of N anchors.

    Attributes:
        log_sums: (N,) logarithm of the sum over the share's classes of exp(score), the own class's margin included.
        own: (N,) score of the own class where it is in the share, else 0.
    """

    log_sums: Tensor
    own: Tensor


class ShardedClassLoss(ClassWeightLoss):
    """Cross-entropy over classes that may be shared out over ranks: log sum_c exp(s_c) - s_y, put together.

    Without `keep_share` one process holds all classes. The parameter `weight` (C_r, D) holds the share's rows of what
    would be (C, D); a checkpoint of all C is cut to the share when it is loaded.
    """

    weight: nn.Parameter
    first = 0
    """The first class of the share."""
    ranks = 1
    """Number of shares."""

    def keep_share(self, rank: int, world_size: int) -> None:
        """Keep the weights of this rank's classes only: as many as any other's, to one.

        Raises:
            ValueError: fewer classes than ranks.
        """
        classes = int(self.num_classes or 0)
        if classes < world_size:
            raise ValueError(f"{type(self).__name__}: {classes} classes can't be shared out over {world_size} ranks")
        self.first, end = classes * rank // world_size, classes * (rank + 1) // world_size
        self.ranks = world_size
        self.weight = nn.Parameter(self.weight.detach()[self.first : end].clone())

    @abstractmethod
    def shard_sums(self, embeddings: Tensor, labels: Tensor) -> ShardSums:
        """Return the share's sums of anchors (N, D) with labels (N,) of any class."""

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *arguments: Any) -> None:
        name = f"{prefix}weight"
        saved = state_dict.get(name)
        if saved is not None and self.built and len(saved) == self.num_classes != len(self.weight):
            share = {name: saved[self.first : self.first + len(self.weight)]}
            state_dict = {**state_dict, **share}
        super()._load_from_state_dict(state_dict, prefix, *arguments)
