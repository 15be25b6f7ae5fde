"""What makes a pair positive, where it is more than an equal label. Given to a pairwise loss as `relevance`."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from metric_lightning.checks import check_arguments, check_whole
from metric_lightning.functional.labels import check_labels, class_numbers
from metric_lightning.functional.pairs import pairs_from_labels, pairs_from_relevance
from metric_lightning.parts import Part
from metric_lightning.types import Pairs

__all__ = ["HierarchicalLabels", "LabelsByClass", "MultiLabel", "Relevance", "RelevanceMatrix", "SameLabel"]


class Relevance(Part, nn.Module, ABC):
    """Turns labels of N anchors and M references into `Pairs`; N or M may be 0."""

    def __init__(self) -> None:
        super().__init__()
        check_arguments(self)

    @abstractmethod
    def forward(self, labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
        """Return the pairs (N, M); `own` (N,) is the column of the anchor itself, in neither mask."""

    def take_class_labels(self, labels: Tensor) -> None:  # noqa: B027, most go by the labels of the batch
        """Take what labels the data's classes have (C, L), where the relevance asks for it and was given none."""


class SameLabel(Relevance):
    """Positive: the same label (N,). Negative: another.

    Raises:
        ValueError: labels that are no integers (N,).

    Example:
        >>> SameLabel()(torch.tensor([0]), torch.tensor([0, 1]), None)[:2]
        (tensor([[ True, False]]), tensor([[False,  True]]))
    """

    def forward(self, labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
        """Return the pairs (N, M)."""
        check_labels(self, labels, reference_labels)
        return pairs_from_labels(labels, reference_labels, own)


class MultiLabel(Relevance):
    """Positive: at least `share` labels in common. Negative: none. In between: ignored. Labels are multi-hot (N, L).

    Args:
        share: how many labels two samples must have in common, at least 1.

    Raises:
        ValueError: share below 1; called, labels that are no numbers (N, L).

    Example:
        >>> references = torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 1]])
        >>> MultiLabel(share=2)(references[:1], references, None)[:2]  # the second has one in common
        (tensor([[ True, False, False]]), tensor([[False, False,  True]]))
    """

    def __init__(self, share: int = 1):
        super().__init__()
        self.share = check_whole(self, "share", share)

    def forward(self, labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
        """Return the pairs (N, M)."""
        check_labels(self, labels, reference_labels, columns=True, floating=True)
        common = labels.float() @ reference_labels.float().T
        positive = pairs_from_relevance(common >= self.share, own).positive
        return Pairs(positive, pairs_from_relevance(common > 0, own).negative)


class HierarchicalLabels(Relevance):
    """Labels (N, L), coarse to fine: positive where the first `level` columns agree, negative elsewhere.

    Args:
        level: how many of the columns must agree, at least 1; None: all.

    Raises:
        ValueError: level below 1; called, labels that are no integers (N, L), or L below the level.

    Example:
        >>> references = torch.tensor([[0, 0], [0, 1], [1, 2]])
        >>> HierarchicalLabels(level=1)(references[:1], references, None).positive
        tensor([[ True,  True, False]])
    """

    def __init__(self, level: int | None = None):
        super().__init__()
        self.level = None if level is None else check_whole(self, "level", level)

    def forward(self, labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
        """Return the pairs (N, M)."""
        check_labels(self, labels, reference_labels, columns=True)
        columns = labels.shape[1] if self.level is None else self.level
        if columns > labels.shape[1]:
            raise ValueError(f"HierarchicalLabels: level is {columns}, the labels have {labels.shape[1]} columns")
        agree = torch.ones(len(labels), len(reference_labels), dtype=torch.bool, device=labels.device)
        for column in range(columns):
            agree &= labels[:, None, column] == reference_labels[None, :, column]
        return pairs_from_relevance(agree, own)


class LabelsByClass(Relevance):
    """Finds pairs by the labels that each class has: row c of `labels` in place of class number c.

    So data whose samples have one class each serve for several labels, written down once for each class; or known to
    the data, where classes are sets of labels (`ImageTable` with `label_separator`) or paths down a hierarchy.

    Args:
        labels: (C, L), C the number of classes; what `relevance` takes for each of them. None: those of the data, their
            `class_labels`, which the module hands over.
        relevance: what makes a pair positive, by those labels: default `MultiLabel`; or `HierarchicalLabels`, say.

    Raises:
        ValueError: rows of different length; when called, a class without a row.
        RuntimeError: called, neither arguments nor data gave labels.

    Example:
        >>> kinds = [[0, 0], [0, 1], [1, 2]]  # robin and wren are birds, a bee is none
        >>> birds = LabelsByClass(kinds, HierarchicalLabels(level=1))
        >>> birds(torch.tensor([0]), torch.tensor([0, 1, 2]), None).positive
        tensor([[ True,  True, False]])
    """

    labels: Tensor | None

    def __init__(self, labels: list[list[int]] | None = None, relevance: Relevance | None = None):
        super().__init__()
        if labels is not None and len({len(row) for row in labels}) != 1:
            raise ValueError("LabelsByClass: labels must hold a row for each class, all of the same length")
        self.register_buffer("labels", None if labels is None else torch.tensor(labels), persistent=False)
        self.relevance = MultiLabel() if relevance is None else relevance

    def take_class_labels(self, labels: Tensor) -> None:
        """Take the labels of the data's classes (C, L) where none were given."""
        if self.labels is None:
            self.labels = labels

    def forward(self, labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
        """Return the pairs (N, M)."""
        if self.labels is None:
            raise RuntimeError(
                "LabelsByClass: the data tell no labels of classes; give labels, or an ImageTable with label_separator"
            )
        rows, columns = (class_numbers(self, given, len(self.labels)) for given in (labels, reference_labels))
        found: Pairs = self.relevance(self.labels[rows], self.labels[columns], own)
        return found


class RelevanceMatrix(Relevance):
    """Classes i and j are positive where matrix[i][j] is 1, negative where it is 0, ignored where it is -1.

    Args:
        matrix: (C, C), C the number of classes; labels (N,) index it.

    Raises:
        ValueError: a matrix that is not square or has other entries; called, a class without a row.

    Example:
        >>> RelevanceMatrix([[1, -1], [-1, 1]])(torch.tensor([0]), torch.tensor([0, 1]), None)[:2]  # none is negative
        (tensor([[ True, False]]), tensor([[False, False]]))
    """

    matrix: Tensor

    def __init__(self, matrix: list[list[int]]):
        super().__init__()
        table = torch.as_tensor(matrix, dtype=torch.int8)
        if table.ndim != 2 or table.shape[0] != table.shape[1] or not bool(((table >= -1) & (table <= 1)).all()):
            raise ValueError("RelevanceMatrix: matrix must be square with entries 1, 0 or -1")
        self.register_buffer("matrix", table, persistent=False)

    def forward(self, labels: Tensor, reference_labels: Tensor, own: Tensor | None) -> Pairs:
        """Return the pairs (N, M)."""
        rows, columns = (class_numbers(self, given, len(self.matrix)) for given in (labels, reference_labels))
        entry = self.matrix[rows[:, None], columns[None, :]]
        positive = pairs_from_relevance(entry == 1, own).positive
        return Pairs(positive, pairs_from_relevance(entry != 0, own).negative)
