"""Margin loss (Wu, Manmatha, Smola, Kraehenbuehl 2017, Sampling matters in deep embedding learning).

N anchors, M references, d (N, M) distances, m margin, b boundary; a anchor, p positive, n negative.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from metric_lightning.checks import check_whole
from metric_lightning.distances import Distance
from metric_lightning.functional.hinges import hinge_sums
from metric_lightning.functional.labels import class_numbers
from metric_lightning.functional.log_sums import positive_values
from metric_lightning.functional.pairs import row_counts
from metric_lightning.functional.triplet_bands import triplet_band_counts
from metric_lightning.losses.averages import check_choice
from metric_lightning.losses.base import PairwiseLoss, check_positive
from metric_lightning.miners.base import Miner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio, TripletBand, Triplets


class MarginLoss(PairwiseLoss):
    """max(0, d_ap - b + m) and max(0, b - d_an + m), the mean over the pairs that cost something, plus v b.

    The boundary b is learned, one for all or one for each anchor's class, so that no fixed distance has to fit all
    classes. Of triplets (the paper's distance-weighted sampling) each gives its two pairs, a pair as often as it is in
    one; without a miner each pair counts once. Popular code counts a pair once for each triplet it is in, of all that
    there are: `miner=TripletMargin("all", 1e9)`. The paper's embeddings have length 1: on others choose m and the first
    b in their units.

    Helps:
        With distance-weighted mining, and where the boundary between same and different shall be learned.

    Collapses:
        When the boundary's learning rate is high it runs away before the embedding follows.

    Args:
        margin: m, > 0.
        boundary: the first b, > 0.
        learn_boundary: whether b is a parameter; give it a learning rate of its own where it lags behind.
        boundary_per_class: one b for each class; sized by `build`, from the data. Needs labels (N,).
        boundary_weight: v, >= 0, for the mean of the anchors' b; > 0 favours small boundaries.
        average: "active": over pairs that cost something, as the paper; "pairs": over all pairs.
        num_classes: with `boundary_per_class`; None: from the data.
        distance: default Euclidean.
        miner: picks pairs or triplets; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[0.0], [1.5], [0.75]])
        >>> MarginLoss(margin=0.2, boundary=1.2)(embeddings, torch.tensor([0, 0, 1]))  # (2 x 0.5 + 4 x 0.65) / 6
        tensor(0.6000, grad_fn=<DivBackward0>)
    """

    boundary: Tensor | None

    def __init__(
        self,
        margin: float = 0.2,
        boundary: float = 1.2,
        learn_boundary: bool = True,
        boundary_per_class: bool = False,
        boundary_weight: float = 0.0,
        average: Literal["active", "pairs"] = "active",
        num_classes: int | None = None,
        distance: Distance | None = None,
        miner: Miner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(distance, miner, relevance, block_size)
        self.margin = check_positive(self, "margin", margin)
        self.first_boundary = check_positive(self, "boundary", boundary)
        self.learn_boundary = learn_boundary
        self.boundary_per_class = boundary_per_class
        self.boundary_weight = check_positive(self, "boundary_weight", boundary_weight, zero=True)
        self.average = check_choice(self, "average", average, ("active", "pairs"))
        self.boundary = None
        if not boundary_per_class:
            self._make_boundary(())
        elif num_classes is not None:
            self._make_boundary((check_whole(self, "num_classes", num_classes),))
        self.take_margin(self.margin)

    def build(self, num_classes: int | None, embedding_dim: int) -> None:
        """Make one boundary for each class, where that is wanted and not yet done."""
        super().build(num_classes, embedding_dim)
        if self.boundary is None:
            if num_classes is None:
                raise ValueError("MarginLoss: boundary_per_class needs num_classes, which the data do not give")
            self._make_boundary((check_whole(self, "num_classes", num_classes),))
        elif self.boundary_per_class and num_classes not in (None, len(self.boundary)):
            raise ValueError(
                f"MarginLoss: num_classes is {len(self.boundary)}, but the data have {num_classes}; leave it out"
            )

    def _make_boundary(self, shape: tuple[int, ...]) -> None:
        values = torch.full(shape, self.first_boundary)
        del self.boundary
        if self.learn_boundary:
            self.boundary = nn.Parameter(values)
        else:
            self.register_buffer("boundary", values)

    def block_terms(self, x: Tensor, y: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        if self.boundary is None:
            raise RuntimeError("MarginLoss: give num_classes, or call build(num_classes, embedding_dim) first")
        if not self.boundary_per_class:
            return self._terms(self.distance(x, y), pairs, self.boundary.expand(len(x)))
        classes = class_numbers(self, labels, len(self.boundary))
        return self._terms(self.distance(x, y), pairs, self.boundary[classes])

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums, with the one boundary."""
        if self.boundary is None or self.boundary_per_class:
            raise RuntimeError("MarginLoss: boundary_per_class needs the labels of the anchors; call block_terms")
        return self._terms(distances, pairs, self.boundary.expand(len(distances)))

    def _terms(self, distances: Tensor, pairs: Pairs, boundary: Tensor) -> dict[str, Ratio]:
        mined = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        if isinstance(mined, Triplets):
            total, active, every = self._of_triplets(distances, mined, boundary)
        elif isinstance(mined, TripletBand):
            total, active, every = self._of_band(distances, mined, boundary)
        else:
            total, active, every = self._of_pairs(distances, mined, boundary)
        terms = {"pairs": Ratio(total, active if self.average == "active" else every)}
        if self.boundary_weight:
            counted = (every > 0).to(distances.dtype)
            terms["boundary"] = Ratio(self.boundary_weight * boundary * counted, counted)
        return terms

    def _of_pairs(self, distances: Tensor, pairs: Pairs, boundary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        nearest = boundary[:, None] + self.margin
        chosen, filled = positive_values(distances, pairs.positive)
        far, number_far = hinge_sums(chosen - (nearest - 2 * self.margin), filled)
        near, number_near = hinge_sums(nearest - distances, pairs.negative)
        every = filled.sum(dim=1, dtype=far.dtype) + row_counts(pairs.negative, far.dtype)
        return far + near, number_far + number_near, every

    def _of_triplets(self, distances: Tensor, triplets: Triplets, boundary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        anchor, positive, negative = triplets
        far = (distances[anchor, positive] - boundary[anchor] + self.margin).clamp_min(0)
        near = (boundary[anchor] - distances[anchor, negative] + self.margin).clamp_min(0)
        zeros = distances.new_zeros(len(distances))
        active = (far > 0).to(far.dtype) + (near > 0).to(far.dtype)
        total = zeros.index_add(0, anchor, far + near)
        return total, zeros.index_add(0, anchor, active), zeros.index_add(0, anchor, torch.full_like(far, 2))

    def _of_band(self, distances: Tensor, band: TripletBand, boundary: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        # A triplet costs the sum of what its two pairs do, so it is enough to know in how many triplets a pair is.
        counts = triplet_band_counts(distances.detach(), band)
        gaps = distances - boundary[:, None]
        costs = (torch.where(band.pairs.positive, gaps, -gaps) + self.margin).clamp_min(0)
        return (counts * costs).sum(dim=1), (counts * (costs > 0)).sum(dim=1), counts.sum(dim=1)
