"""Words that the oracles share: loops over scalars, nothing of the package but its types."""

import torch
from torch import Tensor

from metric_lightning.types import Pairs, References


def same_label_pairs(labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
    """Equal labels are positive, different ones negative, an anchor with itself is neither."""
    positive = torch.zeros(len(labels), len(reference_labels), dtype=torch.bool)
    negative = torch.zeros_like(positive)
    for i in range(len(labels)):
        for j in range(len(reference_labels)):
            if own is not None and int(own[i]) == j:
                continue
            same = bool((labels[i] == reference_labels[j]).all())
            positive[i, j], negative[i, j] = same, not same
    return Pairs(positive, negative)


def columns(mask: Tensor, row: int) -> list[int]:
    """Return the columns where a row of the mask is True."""
    return [j for j in range(mask.shape[1]) if bool(mask[row, j])]


def euclidean(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|, a constant 0 where x equals y."""
    if torch.equal(x, y):
        return x.new_zeros(())
    return (x - y).square().sum().sqrt()


def squared_euclidean(x: Tensor, y: Tensor) -> Tensor:
    """|x - y|^2."""
    return (x - y).square().sum()


def cosine(x: Tensor, y: Tensor) -> Tensor:
    """Cosine of the angle between x and y, a constant 0 where one of them is 0."""
    if not bool(x.any()) or not bool(y.any()):
        return x.new_zeros(())
    return (x @ y) / (x.square().sum().sqrt() * y.square().sum().sqrt())


def mean(values: list[Tensor], like: Tensor) -> Tensor:
    """The mean, 0 of nothing."""
    return total(values, like) / max(1, len(values))


def total(values: list[Tensor], like: Tensor) -> Tensor:
    """The sum, 0 of nothing."""
    result = like.new_zeros(())
    for value in values:
        result = result + value
    return result


def triplets(pairs: Pairs) -> list[tuple[int, int, int]]:
    """All (anchor, positive, negative)."""
    listed = []
    for a in range(len(pairs.positive)):
        negative = columns(pairs.negative, a)
        listed += [(a, p, n) for p in columns(pairs.positive, a) for n in negative]
    return listed


def distance_table(embeddings: Tensor, references: References) -> list[list[Tensor]]:
    """Euclidean distances, table[i][j]."""
    return [[euclidean(x, y) for y in references.embeddings] for x in embeddings]
