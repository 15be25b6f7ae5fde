"""The nearest items of each row of scores, without sorting the row."""

import torch
from torch import Tensor

GROUP = 32  # items whose largest score is looked at first


def nearest(scores: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k largest scores of each row in descending order, and their columns.

    The row is cut into groups of 32 columns. The k largest items lie in the k groups with the
    largest maxima, so one vectorised pass for the maxima and a search among few items do what a
    search of the whole row would. Which of several equal scores comes first is left open.

    Args:
        scores: (B, M), larger is closer.
        k: at most M.

    Returns:
        (B, k) scores and (B, k) int64 columns.

    Raises:
        ValueError: k is negative or larger than M.

    Example:
        >>> values, columns = nearest(torch.tensor([[0.5, 2.0, 1.0]]), 2)
        >>> values.tolist(), columns.tolist()
        ([[2.0, 1.0]], [[1, 2]])
    """
    n_rows, n_columns = scores.shape
    if not 0 <= k <= n_columns:
        raise ValueError(f"k={k} must lie between 0 and the number of columns, {n_columns}")
    n_groups = n_columns // GROUP
    if not is_small(k, n_columns):
        top = scores.topk(k, dim=1)
        return top.values, top.indices
    # Group g holds the columns g, g + n_groups, g + 2 n_groups, ...: the maxima are taken over whole vectors.
    grouped = scores[:, : n_groups * GROUP].unflatten(1, (GROUP, n_groups))
    groups = grouped.amax(1).topk(k, dim=1, sorted=False).indices
    members = grouped.gather(2, groups[:, None].expand(-1, GROUP, -1)).flatten(1)
    values, places = torch.cat([members, scores[:, n_groups * GROUP :]], 1).topk(k, dim=1)
    columns = torch.where(
        places < members.shape[1],
        places // max(k, 1) * n_groups + groups.gather(1, places % max(k, 1)),
        places - members.shape[1] + n_groups * GROUP,
    )
    return values, columns


def is_small(k: int, n_columns: int) -> bool:
    """Return whether groups save anything: whether k groups are a small part of all."""
    return k * 4 <= n_columns // GROUP
