"""Slow, obvious versions of the metrics: one query at a time, ties by the mean over orders."""

import itertools
import math

import numpy as np


def distances(queries, gallery, distance="euclidean"):
    """Return (Q, M) float64 distances, smaller is closer."""
    x, y = np.asarray(queries, dtype=np.float64), np.asarray(gallery, dtype=np.float64)
    if distance == "dot":
        return -x @ y.T
    if distance == "cosine":
        x, y = ([v / (np.linalg.norm(v) or 1.0) for v in rows] for rows in (x, y))
        return np.array([[1 - float(np.dot(a, b)) for b in y] for a in x])
    return np.array([[np.sqrt(((a - b) ** 2).sum()) for b in y] for a in x])


def orders(row, n=None):
    """Yield every order of the items that a row of distances admits, ties in any order."""
    groups = [np.flatnonzero(row == value) for value in np.unique(row)]
    if math.prod(math.factorial(len(group)) for group in groups) <= 5000:
        yield from (list(itertools.chain(*parts)) for parts in itertools.product(*map(itertools.permutations, groups)))
    else:
        raise ValueError("too many orders for an oracle")


def of_order(relevant, name, k=None):
    """The metric of one ranking: `relevant` is a list of 0 and 1."""
    n_relevant = sum(relevant)
    relevant_at = list(relevant)
    if name == "precision":
        return sum(relevant_at[:k]) / k
    if name == "recall":
        return float(any(relevant_at[:k]))
    if name == "r_precision":
        return sum(relevant_at[:n_relevant]) / n_relevant
    if name in ("map_at_r", "average_precision"):
        depth = n_relevant if name == "map_at_r" else len(relevant_at)
        return sum(rel * sum(relevant_at[: i + 1]) / (i + 1) for i, rel in enumerate(relevant_at[:depth])) / n_relevant
    if name == "reciprocal_rank":
        return 1 / (relevant_at.index(1) + 1)
    if name == "ndcg":
        gain = sum(rel / math.log2(i + 2) for i, rel in enumerate(relevant_at[:k]))
        return gain / sum(1 / math.log2(i + 2) for i in range(min(n_relevant, k)))
    raise ValueError(name)


def retrieval(distance_matrix, relevant, allowed, name, k=None):
    """(Q,) values: mean over the orders of tied items; nan where a query has no relevant item."""
    values = []
    for row, rel, kept in zip(np.asarray(distance_matrix), np.asarray(relevant), np.asarray(allowed), strict=True):
        row, rel = row[kept], rel[kept].astype(int)
        if not rel.any():
            values.append(math.nan)
            continue
        values.append(np.mean([of_order([rel[i] for i in order], name, k) for order in orders(row)]))
    return np.array(values)
