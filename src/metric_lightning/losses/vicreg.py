"""VICReg (Bardes, Ponce, LeCun 2022, Variance-invariance-covariance regularization for self-supervised learning).

N anchors x and M references y, D dimensions.
"""

import torch
from torch import Tensor

from metric_lightning.functional.precision import autocast_off, full_precision
from metric_lightning.losses.base import MetricLoss, check_batch, check_positive
from metric_lightning.types import Pairs, Ratio, References


def variance_cost(rows: Tensor, eps: float = 1e-4) -> Tensor:
    """Return the mean over dimensions of max(0, 1 - sqrt(var + eps)), var the unbiased variance of rows (N, D), N >= 2.

    Example:
        >>> variance_cost(torch.tensor([[1.0], [1.0]]), eps=0.25)
        tensor(0.5000)
    """
    return (1 - (rows.var(dim=0) + eps).sqrt()).clamp_min(0).mean()


def covariance_cost(rows: Tensor) -> Tensor:
    """Return the sum of the squared covariances of different dimensions of rows (N, D), N >= 2, divided by D.

    Example:
        >>> covariance_cost(torch.tensor([[1.0, 1.0], [-1.0, -1.0]]))  # both covariances are 2
        tensor(4.)
    """
    rows = rows - rows.mean(dim=0)
    covariances = rows.T @ rows / (len(rows) - 1)
    return covariances.fill_diagonal_(0).square().sum() / rows.shape[1]


class VICRegLoss(MetricLoss):
    """l s + u [v(x) + v(y)] + n [c(x) + c(y)], of two views x and y.

    s: the mean over positive pairs of |x - y|^2 / D, which draws views of a sample together; v: `variance_cost`, which
    keeps every dimension alive; c: `covariance_cost`, which keeps dimensions from repeating each other. Needs no
    negatives, so it works where samples have no classes; with small batches (N < 2 D or so) c is mostly noise.

    Which rows are views of each other is said by equal labels or by `pairs`. Two views given apart, `references` with
    `own` None, are the paper's Z and Z'. A batch that is its own reference set is both x and y: with each label
    twice, s is the paper's, and v and c are taken, twice, over both views together. Both are of the whole batch:
    `row_wise` is False.

    The paper's pseudo-code is followed; the authors' code halves v: `variance_weight: 12.5` is the same.

    Helps:
        Without negatives and without classes, on two views of each sample.

    Collapses:
        Without its variance term all views fall into one point; with small batches the covariance is mostly
        noise.

    Args:
        invariance_weight: l >= 0.
        variance_weight: u >= 0.
        covariance_weight: n >= 0.
        eps: added to the variance, > 0.

    Example:
        >>> views, labels = torch.tensor([[2.0], [-2.0]]), torch.tensor([0, 1])
        >>> VICRegLoss()(views, labels, References(views + 1, labels))  # variances are large, there is one dimension
        tensor(25.)
    """

    row_wise = False

    def __init__(
        self,
        invariance_weight: float = 25.0,
        variance_weight: float = 25.0,
        covariance_weight: float = 1.0,
        eps: float = 1e-4,
    ):
        super().__init__()
        self.invariance_weight = check_positive(self, "invariance_weight", invariance_weight, zero=True)
        self.variance_weight = check_positive(self, "variance_weight", variance_weight, zero=True)
        self.covariance_weight = check_positive(self, "covariance_weight", covariance_weight, zero=True)
        self.eps = check_positive(self, "eps", eps)

    def terms(
        self, embeddings: Tensor, labels: Tensor, references: References | None = None, pairs: Pairs | None = None
    ) -> dict[str, Ratio]:
        """Return the parts of the loss, see `MetricLoss.terms`."""
        check_batch(embeddings, labels, references, pairs)
        given = References(embeddings, labels, None) if references is None else references
        with autocast_off(embeddings.device):
            x = full_precision(embeddings)
            y = x if references is None else full_precision(references.embeddings)
            if pairs is None:
                among = references is None or references.own is not None
                squared, count = _label_pairs(x, labels, y, given.labels, among)
            else:
                squared, count = _given_pairs(x, y, pairs.positive)
            # One row has no variance. A batch that is its own reference set counts twice, and is computed once.
            views = [view for view in ([x] if references is None else [x, y]) if len(view) > 1]
            times = 2 if references is None else 1
            nothing = x.sum() * 0
            variance = times * sum((variance_cost(rows, self.eps) for rows in views), start=nothing)
            covariance = times * sum((covariance_cost(rows) for rows in views), start=nothing)
        one = torch.ones_like(nothing)
        return {
            "invariance": Ratio(self.invariance_weight * squared / x.shape[1], count),
            "variance": Ratio(self.variance_weight * variance, one),
            "covariance": Ratio(self.covariance_weight * covariance, one),
        }


def _given_pairs(x: Tensor, y: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return the sum of |x - y|^2 over positive pairs, and their number."""
    anchors, columns = positive.nonzero(as_tuple=True)
    squared = (x.index_select(0, anchors) - y.index_select(0, columns)).square().sum()
    return squared, positive.sum(dtype=x.dtype)


def _label_pairs(x: Tensor, labels: Tensor, y: Tensor, others: Tensor, among: bool) -> tuple[Tensor, Tensor]:
    """Return the same for equal labels, without visiting pairs; `among`: each anchor is a column too.

    Over a class of n anchors and m references, with means a and b, the sum is
    m sum |x - a|^2 + n sum |y - b|^2 + n m |a - b|^2.
    """
    found, codes = torch.cat([labels, others]).unique(dim=None if labels.ndim == 1 else 0, return_inverse=True)
    code, other = codes[: len(labels)], codes[len(labels) :]
    if not among and len(found) == len(labels) and torch.equal(code, other):
        return (x - y).square().sum(), x.new_tensor(float(len(x)))  # row for row, as the paper has it
    n, a, x_spread = _classes(x, code, len(found))
    m, b, y_spread = _classes(y, other, len(found))
    squared = (m * x_spread + n * y_spread + n * m * (a - b).square().sum(dim=1)).sum()
    return squared, (n * m).sum() - (len(x) if among else 0)


def _classes(rows: Tensor, code: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return each class's size (C,), mean (C, D) and sum of squared distances from it (C,)."""
    size = torch.bincount(code, minlength=classes).to(rows.dtype)
    sums = rows.new_zeros(classes, rows.shape[1]).index_add(0, code, rows)
    mean = sums / size.clamp_min(1)[:, None]
    spread = (rows - mean.index_select(0, code)).square().sum(dim=1)
    return size, mean, size.new_zeros(classes).index_add(0, code, spread)
