"""N-pair loss (Sohn 2016, Improved deep metric learning with multi-class N-pair loss objective).

N anchors, M references, s (N, M) similarities; a anchor, p positive, n negative.
"""

import torch
from torch import Tensor

from metric_lightning.distances import Distance, DotProductDistance
from metric_lightning.functional.labels import check_labels
from metric_lightning.functional.log_sums import tuplet_costs
from metric_lightning.losses.averages import average_pairs
from metric_lightning.losses.base import PairwiseLoss, check_batch, check_positive
from metric_lightning.miners.base import PairMiner
from metric_lightning.relevance import Relevance
from metric_lightning.types import Pairs, Ratio, References


class NPairsLoss(PairwiseLoss):
    """log(1 + sum_n exp(s_an - s_ap)), the mean over positive pairs, plus w |x_a|^2, the mean over anchors.

    Sohn's batch has two samples of each class, the anchors and the positives. With the positives given as
    `references` this is his N-pair-mc; on a plain batch every sample is an anchor, and both samples of another
    class are negatives, which uses the batch twice. The dot product is unbounded: without w > 0 the loss can fall
    by growing norms alone.

    Helps:
        With many classes and two samples of each a batch.

    Collapses:
        Lengths of embeddings grow without end when nothing regularises them.

    Args:
        norm_weight: w, >= 0; Sohn's 3e-3. 0, as in most code: no regulariser.
        one_pair_per_class: take of each class in the batch the first sample as anchor and the next as its positive,
            and of the other classes only their positives as negatives, as Sohn and popular code do. The choice is
            over the whole batch (`row_wise` is False).
        distance: default dot product.
        miner: picks pairs; None: all pairs.
        relevance: what makes a pair positive; None: equal labels.
        block_size: rows at a time, see `PairwiseLoss`.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        >>> NPairsLoss()(embeddings, torch.tensor([0, 0, 1]))  # log(1 + exp(0 - 1))
        tensor(0.3133)
    """

    def __init__(
        self,
        norm_weight: float = 0.0,
        one_pair_per_class: bool = False,
        distance: Distance | None = None,
        miner: PairMiner | None = None,
        relevance: Relevance | None = None,
        block_size: int | None = None,
    ):
        super().__init__(DotProductDistance() if distance is None else distance, miner, relevance, block_size)
        self.norm_weight = check_positive(self, "norm_weight", norm_weight, zero=True)
        self.one_pair_per_class = one_pair_per_class
        if one_pair_per_class:
            self.row_wise = False

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, see `MetricLoss.terms`."""
        if not self.one_pair_per_class:
            return super().terms(embeddings, labels, references, pairs)
        check_batch(embeddings, labels, references, pairs)
        check_labels(self, labels)
        anchors, columns = first_two(labels) if references is None else first_pairs(labels, references)
        classes = labels[anchors]
        if references is None:
            # One look-up, as the gradient of each makes a matrix.
            x, y = embeddings.index_select(0, torch.cat([anchors, columns])).chunk(2)
            chosen = References(y, classes)
        else:
            x = embeddings.index_select(0, anchors)
            chosen = References(references.embeddings.index_select(0, columns), references.labels[columns])
        if pairs is not None:
            pairs = Pairs(pairs.positive[anchors][:, columns], pairs.negative[anchors][:, columns])
        return super().terms(x, classes, chosen, pairs)

    def block_terms(self, x: Tensor, y: Tensor, labels: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums, of the regulariser too."""
        terms = super().block_terms(x, y, labels, pairs)
        if self.norm_weight:
            counted = (terms["pairs"].count > 0).to(x.dtype)
            terms["norms"] = Ratio(self.norm_weight * x.square().sum(dim=1) * counted, counted)
        return terms

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        """Return each anchor's share (N,) of the sums."""
        pairs = pairs if self.miner is None else self.miner(distances.detach(), pairs)
        return {"pairs": average_pairs(*tuplet_costs(self.distance.similarity(distances), pairs, scale=1.0))}


def first_two(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and the second row of each class that has two; one sort.

    Example:
        >>> first_two(torch.tensor([0, 1, 0, 0, 1, 2]))
        (tensor([0, 1]), tensor([2, 4]))
    """
    ordered, order = labels.sort(stable=True)
    again = ordered[1:] == ordered[:-1]
    second = again.clone()
    second[1:].gt_(again[:-1])
    place = second.nonzero().squeeze(1)
    return order[place], order[place + 1]


def first_pairs(labels: Tensor, references: References) -> tuple[Tensor, Tensor]:
    """Return the first row of each class, and the first column of each class that is none of those rows.

    Example:
        >>> labels = torch.tensor([0, 1, 0, 0, 1])
        >>> first_pairs(labels, References(torch.zeros(5, 2), labels, torch.arange(5)))
        (tensor([0, 1]), tensor([2, 4]))
    """
    anchors = _first_of_each(labels)
    free = torch.ones_like(references.labels, dtype=torch.bool)
    if references.own is not None:
        free[references.own[anchors]] = False
    columns = free.nonzero()[:, 0]
    return anchors, columns[_first_of_each(references.labels[columns])]


def _first_of_each(labels: Tensor) -> Tensor:
    ordered, order = labels.sort(stable=True)
    return order[ordered.diff(prepend=ordered[:1] - 1) != 0]
