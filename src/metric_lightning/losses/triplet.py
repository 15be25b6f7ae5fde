"""Triplet loss (Weinberger & Saul 2009; Schroff et al. 2015, FaceNet; soft margin: Hermans et al. 2017).

N anchors, M references, d (N, M) distances; a anchor, p positive, n negative, m margin.
"""

from abc import abstractmethod
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import softplus

from metric_lightning.distances import Distance
from metric_lightning.functional.triplet_bands import triplet_band_sums
from metric_lightning.functional.triplets import count_triplets, triplet_hinge_sums, triplet_soft_margin_sums
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import Miner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio, TripletBand, Triplets


class _TripletLoss(PairwiseLoss):
    """What both triplet losses share: all triplets in closed form, or those that a miner picks."""

    average: str = "all"

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        mined = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        if isinstance(mined, Triplets):
            return {"triplets": self._picked(distances, mined)}
        if isinstance(mined, TripletBand):
            total, active, every = triplet_band_sums(distances, mined, self._cost, self._slope)
            return {"triplets": Ratio(total, active if self.average == "active" else every)}
        return {"triplets": self._all(distances, mined)}

    @abstractmethod
    def _all(self, distances: Tensor, pairs: Pairs) -> Ratio:
        """Sum over all triplets of the pairs."""

    @abstractmethod
    def _cost(self, differences: Tensor) -> Tensor:
        """Return the costs of triplets with these d_ap - d_an, of any shape; 0 at -inf."""

    @abstractmethod
    def _slope(self, differences: Tensor) -> Tensor:
        """Return the derivative of the costs; 0 at -inf."""

    def _picked(self, distances: Tensor, triplets: Triplets) -> Ratio:
        anchor, positive, negative = triplets
        # One look-up, as the gradient of each makes a matrix.
        places = torch.cat([positive, negative]) + (anchor * distances.shape[1]).repeat(2)
        to_positive, to_negative = distances.reshape(-1)[places].view(2, -1)
        costs = self._cost(to_positive - to_negative)
        counts = (costs > 0).to(costs.dtype) if self.average == "active" else torch.ones_like(costs)
        zeros = distances.new_zeros(len(distances))
        return Ratio(zeros.index_add(0, anchor, costs), zeros.index_add(0, anchor, counts))


class TripletMarginLoss(_TripletLoss):
    """max(0, d_ap - d_an + m), the mean over triplets: all of the batch, exactly, or those that a miner picks.

    All triplets (miner None) cost about as much as the distances: see `functional.triplets`. FaceNet squares the
    distances (`distance: SquaredEuclideanDistance`), Hermans et al. 2017 advise not to, the default here. Popular code
    averages over the triplets that cost something: `average="active"`.

    Anchor swap, min(d_an, d_pn) in place of d_an (Balntas et al. 2016), is not given: an anchor's share would depend on
    the rows of its positives, and no closed form is known. `PytorchMetricLearningLoss` has it, listing all triplets.

    Helps:
        When only the order of distances matters; all triplets without a miner are a safe beginning.

    Collapses:
        With the hardest negatives from a random start: all in one point, the loss at the margin.

    Args:
        margin: m, >= 0, in the units of the distance.
        average: "all": mean over all triplets, the ones that cost nothing included; "active": over those that cost
            something, so that the gradient does not fade as triplets are satisfied (Hermans' "batch all, non-zero").
        distance: default Euclidean.
        miner: picks triplets, or pairs of which all triplets are taken; None: all.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[0.0], [1.0], [1.5]])
        >>> TripletMarginLoss(margin=1.0)(embeddings, torch.tensor([0, 0, 1]))  # (0.5 + 1.5) / 2
        tensor(1.)
    """

    def __init__(
        self,
        margin: float = 1.0,
        average: Literal["all", "active"] = "all",
        distance: Distance | None = None,
        miner: Miner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin, zero=True)
        if average not in ("all", "active"):
            raise ValueError(f"TripletMarginLoss: average must be 'all' or 'active', got {average!r}")
        self.average = average
        self.take_margin(margin)

    def _all(self, distances: Tensor, pairs: Pairs) -> Ratio:
        total, active = triplet_hinge_sums(distances, pairs.positive, pairs.negative, self.margin)
        every = count_triplets(pairs.positive, pairs.negative, distances.dtype)
        return Ratio(total, active if self.average == "active" else every)

    def _cost(self, differences: Tensor) -> Tensor:
        return (differences + self.margin).clamp_min_(0)

    def _slope(self, differences: Tensor) -> Tensor:
        return torch.gt(differences, -self.margin, out=torch.empty_like(differences))


class TripletSoftMarginLoss(_TripletLoss):
    """log(1 + exp(d_ap - d_an + m)), the mean over triplets: all of the batch, or those that a miner picks.

    Hermans, Beyer, Leibe 2017, In defense of the triplet loss: no margin to choose (m = 0), and satisfied triplets go
    on pulling, ever more gently. At log 2 = 0.693 the distances say nothing: that is where a collapsed network sits.
    Popular code has a margin within; it averages over triplets that cost something, which here all do.

    Helps:
        With batch-hard mining, where a hard margin collapses more often; there is no margin to choose.

    Collapses:
        With the hardest negatives at a high learning rate: all in one point, the loss at log 2 = 0.693.

    Args:
        margin: m, >= 0, in the units of the distance; miners that need a margin take it.
        distance: default Euclidean.
        miner: picks triplets, or pairs of which all triplets are taken; None: all. One that needs a margin must have
            one of its own.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> loss = TripletSoftMarginLoss()
        >>> loss(torch.zeros(3, 2), torch.tensor([0, 0, 1]))
        tensor(0.6931)
    """

    def __init__(
        self,
        margin: float = 0.0,
        distance: Distance | None = None,
        miner: Miner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin, zero=True)
        self.take_margin(margin or None)  # at 0 all triplets cost something, and a miner may have a margin of its own

    def _all(self, distances: Tensor, pairs: Pairs) -> Ratio:
        total = triplet_soft_margin_sums(distances, pairs.positive, pairs.negative, self.margin)
        return Ratio(total, count_triplets(pairs.positive, pairs.negative, distances.dtype))

    def _cost(self, differences: Tensor) -> Tensor:
        return softplus(differences + self.margin)

    def _slope(self, differences: Tensor) -> Tensor:
        return (differences + self.margin).sigmoid()
