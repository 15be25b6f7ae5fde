"""Retrieval metrics of ranked relevant items, one value a query.

All take `RelevantRanks` of B queries and return (B,) float64: the metric's expected value over the
orders of tied items, and nan for a query without a relevant item. R is the number of relevant items
of a query, rel(i) is 1 where the item at rank i (from 1) is relevant and 0 where not. Where the
gallery holds fewer than k items, the missing ones count as not relevant.

The items of a group of t tied items, s of them relevant, behind a closer ones (r of them relevant)
take the ranks a + 1 .. a + t; each rank holds a relevant item with probability s / t.
"""

import torch
from torch import Tensor

from metric_lightning.functional.relevant_ranks import RelevantRanks


def precision_at(ranks: RelevantRanks, k: int) -> Tensor:
    """Precision at k: sum_{i <= k} rel(i) / k.

    Raises:
        ValueError: k is less than 1.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 2]]))
        >>> precision_at(ranks, 2).tolist()
        [0.5]
    """
    _check_k(k)
    return _where_relevant(ranks, _expected_hits(ranks, k) / k)


def recall_at(ranks: RelevantRanks, k: int) -> Tensor:
    """Recall at k as metric learning uses the word (hit rate): 1 where any of the first k items is
    relevant.

    Raises:
        ValueError: k is less than 1.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[1, 2]]))
        >>> recall_at(ranks, 1).tolist(), recall_at(ranks, 2).tolist()
        ([0.0], [1.0])
    """
    _check_k(k)
    closer, tied, relevant = _first_group(ranks)
    drawn = (k - closer).clamp(min=0).minimum(tied)
    # All drawn items of the group are irrelevant: C(t - s, drawn) / C(t, drawn).
    others = tied - relevant
    miss = torch.exp(
        torch.lgamma(others + 1)
        - torch.lgamma((others - drawn).clamp(min=0) + 1)
        - torch.lgamma(tied + 1)
        + torch.lgamma(tied - drawn + 1)
    )
    miss = torch.where(drawn == 0, 1.0, torch.where(drawn > others, 0.0, miss))
    return _where_relevant(ranks, 1 - miss)


def r_precision(ranks: RelevantRanks) -> Tensor:
    """R-precision: sum_{i <= R} rel(i) / R.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 2]]))
        >>> r_precision(ranks).tolist()
        [0.5]
    """
    n_relevant = ranks.n_relevant
    return _where_relevant(ranks, _expected_hits(ranks, n_relevant[:, None]) / n_relevant)


def map_at_r(ranks: RelevantRanks) -> Tensor:
    """MAP@R (Musgrave, Belongie, Lim: A Metric Learning Reality Check, ECCV 2020): sum_{i <= R}
    rel(i) P@i / R.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 2]]))
        >>> map_at_r(ranks).tolist()
        [0.5]
    """
    return _where_relevant(ranks, _precisions(ranks, ranks.n_relevant[:, None]) / ranks.n_relevant)


def average_precision(ranks: RelevantRanks) -> Tensor:
    """Average precision: sum_i rel(i) P@i / R over the whole ranking; its mean over queries is mAP.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7, 0.6]]), torch.tensor([[0, 3]]))
        >>> average_precision(ranks).tolist()
        [0.75]
    """
    return _where_relevant(ranks, _precisions(ranks, None) / ranks.n_relevant)


def reciprocal_rank(ranks: RelevantRanks) -> Tensor:
    """1 / (rank of the closest relevant item); its mean over queries is MRR.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[1, 2]]))
        >>> reciprocal_rank(ranks).tolist()
        [0.5]
    """
    closer, tied, relevant = _first_group(ranks)
    values = 1 / (closer + 1)
    groups, place = torch.unique(torch.stack([closer, tied, relevant], 1), dim=0, return_inverse=True)
    if bool((groups[:, 1] > 1).any()):
        expected = torch.stack([_expected_reciprocal(*group) for group in groups.tolist()])
        values = torch.where(tied > 1, expected.to(values.device)[place], values)
    return _where_relevant(ranks, values)


def ndcg_at(ranks: RelevantRanks, k: int) -> Tensor:
    """NDCG at k: sum_{i <= k} rel(i) / log2(i + 1), divided by its largest possible value.

    Jarvelin, Kekalainen: Cumulated gain-based evaluation of IR techniques (ACM TOIS 2002), with
    gains of 0 and 1.

    Raises:
        ValueError: k is less than 1.

    Example:
        >>> from metric_lightning.functional.relevant_ranks import relevant_ranks
        >>> ranks = relevant_ranks(torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 1]]))
        >>> ndcg_at(ranks, 2).tolist()
        [1.0]
    """
    _check_k(k)
    place = torch.arange(ranks.valid.shape[1], device=ranks.valid.device)
    best = torch.where(ranks.valid & (place < k), _discount(place), 0.0)
    gains = torch.where(ranks.valid & (ranks.closer < k), _discount(ranks.closer), 0.0)
    mixed = ranks.valid & (ranks.tied > 1)
    if bool(mixed.any()):
        cumulated = torch.cat([gains.new_zeros(1), _discount(torch.arange(k, device=gains.device)).cumsum(0)])
        first, last = (
            ranks.closer[mixed].clamp(max=k),
            (ranks.closer + ranks.tied)[mixed].clamp(max=k),
        )
        gains[mixed] = (cumulated[last] - cumulated[first]) / ranks.tied[mixed]
    return _where_relevant(ranks, gains.sum(1) / best.sum(1))


def _check_k(k: int) -> None:
    if k < 1:
        raise ValueError(f"k={k} must be at least 1")


def _where_relevant(ranks: RelevantRanks, values: Tensor) -> Tensor:
    return torch.where(ranks.valid.any(1), values, torch.nan)


def _discount(closer: Tensor) -> Tensor:
    return 1 / torch.log2(closer.double() + 2)


def _ranks_within(ranks: RelevantRanks, depth: int | Tensor) -> Tensor:
    """(B, P) int64: how many of the ranks of an item's group lie within the first `depth`."""
    return (depth - ranks.closer).clamp(min=0).minimum(ranks.tied)


def _expected_hits(ranks: RelevantRanks, depth: int | Tensor) -> Tensor:
    """(B,) float64: the expected number of relevant items among the first `depth`."""
    return torch.where(ranks.valid, _ranks_within(ranks, depth).double() / ranks.tied, 0.0).sum(1)


def _precisions(ranks: RelevantRanks, depth: Tensor | None) -> Tensor:
    """(B,) float64: the expected sum over ranks i up to depth of rel(i) P@i.

    At rank a + p of a group stands a relevant item with probability s / t. Then r + 1 + (p - 1) c
    relevant items are expected up to that rank, c = (s - 1) / (t - 1). The sum over p of that
    divided by (a + p) is n c + (r + 1 - c (a + 1)) (H(a + n) - H(a)), H the harmonic numbers and n
    the number of the group's ranks within depth. An item's share is the group's divided by s.
    """
    within = ranks.tied if depth is None else _ranks_within(ranks, depth)
    shares = torch.where(within > 0, (ranks.closer_relevant + 1).double() / (ranks.closer + 1), 0.0)
    mixed = ranks.valid & (ranks.tied > 1)
    if bool(mixed.any()):
        a, t, r, s, n = (values[mixed].double() for values in (*ranks[1:], within))
        c = (s - 1) / (t - 1)
        harmonic = torch.digamma(a + n + 1) - torch.digamma(a + 1)
        shares[mixed] = (n * c + (r + 1 - c * (a + 1)) * harmonic) / t
    return torch.where(ranks.valid, shares, 0.0).sum(1)


def _first_group(ranks: RelevantRanks) -> tuple[Tensor, Tensor, Tensor]:
    """(B,) float64 each: a, t and s of the closest group with a relevant item."""
    if ranks.valid.shape[1] == 0:
        nothing = torch.zeros(len(ranks.valid), dtype=torch.float64, device=ranks.valid.device)
        return nothing, nothing + 1, nothing + 1
    return (
        ranks.closer[:, 0].double(),
        ranks.tied[:, 0].double(),
        ranks.tied_relevant[:, 0].double(),
    )


def _expected_reciprocal(closer: float, tied: float, relevant: float) -> Tensor:
    """Sum over p of P(p) / (a + p), P(p) = C(t - p, s - 1) / C(t, s): the first relevant is the p-th."""
    p = torch.arange(1, tied - relevant + 2, dtype=torch.float64)
    log_ways = torch.lgamma(tied - p + 1) - torch.lgamma(tied - p - relevant + 2)
    probability = torch.softmax(log_ways, 0)  # the p-independent factors cancel
    return (probability / (closer + p)).sum()
