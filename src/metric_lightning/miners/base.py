"""What a miner is: of all the pairs of a batch, it picks those (or the triplets) that the loss shall see."""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from metric_lightning.checks import check_arguments, check_positive
from metric_lightning.functional.hashing import anchor_keys
from metric_lightning.parts import Part
from metric_lightning.types import Pairs, TripletBand, Triplets


class Miner(Part, nn.Module, ABC):
    """Base of all miners: `miner(distances, pairs)`.

    Args of a call:
        distances: (N, M) detached, smaller is closer.
        pairs: the candidates, `Pairs` of (N, M) masks.

    A row's result depends on that row alone unless `row_wise` is False.
    """

    row_wise: ClassVar[bool] = True
    takes_references: ClassVar[bool] = True
    """Whether columns may be other than the batch; where not, `CrossBatchMemory` refuses the miner."""

    def __init__(self) -> None:
        super().__init__()
        check_arguments(self)

    def keys(self, anchors: Tensor) -> Tensor | None:
        """Return the random keys (N,) of the anchors numbered `anchors` (N,) for one step; None: nothing is random."""
        return None

    def use_margin(self, margin: float | None) -> None:  # noqa: B027, most miners have none
        """Take the loss's margin (None: it has none), where the miner has one and was given none."""

    def use_dimensions(self, dimensions: int) -> None:  # noqa: B027, nor ask for these
        """Take the dimension of the embeddings, where the miner depends on it and was given none."""

    @abstractmethod
    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs | Triplets | TripletBand:
        """Return what was picked."""


class PairMiner(Miner):
    """A miner that picks pairs."""

    @abstractmethod
    def forward(self, distances: Tensor, pairs: Pairs) -> Pairs:
        """Return the pairs picked."""


class TripletMiner(Miner):
    """A miner that picks triplets; it never enumerates all of them."""

    @abstractmethod
    def forward(self, distances: Tensor, pairs: Pairs) -> Triplets | TripletBand:
        """Return the triplets picked."""


class MarginMiner(TripletMiner):
    """A triplet miner with a margin.

    Args:
        margin: in the units of the distance; None: the loss's own (0 where it has none, or outside of a loss).

    Raises:
        ValueError: nothing could be picked without a margin, and neither miner nor loss has one, or the loss's is 0;
            losses of different margins share the miner.
    """

    needs_margin: bool = False
    """Whether a margin of 0 leaves nothing to pick."""

    def __init__(self, margin: float | None = None):
        super().__init__()
        self.margin = None if margin is None else check_positive(self, "margin", margin, zero=True)
        self.margin_used = margin or 0.0
        self._lent: float | None = None

    def use_margin(self, margin: float | None) -> None:
        """Take the loss's margin where none was given."""
        if self.needs_margin and margin == 0:
            raise ValueError(
                f"what {type(self).__name__} picks costs nothing in a loss of margin 0; give the loss a margin"
            )
        if self.margin is None:
            lent = margin or 0.0
            if self._lent not in (None, lent):
                raise ValueError(
                    f"{type(self).__name__} has the margin {self._lent} of another loss, and can't have {lent} too; "
                    "make a miner for each loss, or give it a margin"
                )
            self.margin_used = self._lent = lent
        self.check_margin()

    def check_margin(self) -> None:
        """Raise ValueError where nothing could be picked with the margin used."""
        if self.needs_margin and not self.margin_used:
            raise ValueError(
                f"{type(self).__name__} picks nothing without a margin, and the loss has none; give the miner a margin"
            )


class RandomKeys(nn.Module):
    """The stream of random keys of a miner: a seed and how many steps were drawn.

    Used by a loss, every training step draws anew; in evaluation mode the draw stays the same. The position is saved
    with the checkpoint, so a resumed run goes on with the draws it would have made.

    Args:
        seed: any integer.
    """

    step: Tensor

    def __init__(self, seed: int = 0):
        super().__init__()
        self.seed = seed
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    def forward(self, anchors: Tensor) -> Tensor:
        """Return the keys (N,) of the anchors numbered `anchors` (N,) and, in training, move on."""
        keys = anchor_keys(self.seed, int(self.step), anchors)
        if self.training:
            self.step += 1
        return keys


def ready_keys(random: RandomKeys, pairs: Pairs) -> Tensor:
    """Return the keys that came with the pairs, or the next ones where a miner is called on its own."""
    if pairs.keys is not None:
        return pairs.keys
    return random(torch.arange(len(pairs.positive), device=pairs.positive.device))
