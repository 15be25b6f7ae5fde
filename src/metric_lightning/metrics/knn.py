"""k-nearest-neighbour accuracy."""

import torch

from metric_lightning.functional.knn import knn_predict
from metric_lightning.functional.scores import Distance
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric


class KNNAccuracy(EmbeddingMetric):
    """The share of queries that their k nearest gallery items, the training set's, give the right
    class by vote.

    Figure: `knn_accuracy`, or `weighted_knn_accuracy`. The vote is that of
    `functional.knn.knn_predict`: equal to scikit-learn's `KNeighborsClassifier` on data without
    ties; among equally many votes the smallest label wins, and items tied at the k-th place share
    the votes that are left.

    The gallery holds no query. Without a gallery there is no figure; with no query it is nan.

    Args:
        k: the number of neighbours, at most the size of the gallery.
        weighted: weigh votes by 1 / distance.
        distance: "euclidean", "cosine" or, not weighted, "dot".

    Raises:
        ValueError: an argument outside its range, labels (n, C), or a gallery of fewer than k
        items.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [5.0]])
        >>> gallery = EmbeddedSet(line, torch.tensor([0, 0, 1]), torch.arange(3))
        >>> queries = EmbeddedSet(line[:2] + 0.1, torch.tensor([0, 1]), torch.arange(2))
        >>> KNNAccuracy(k=1).evaluate(queries, gallery)
        {'knn_accuracy': 0.5}
    """

    def __init__(self, k: int = 5, weighted: bool = False, distance: Distance = "euclidean") -> None:
        super().__init__()
        if k < 1:
            raise ValueError(f"k={k} must be at least 1")
        if weighted and distance == "dot":
            raise ValueError("distance='dot' has no weights; use 'euclidean' or 'cosine', or weighted=False")
        self.k, self.weighted = k, weighted
        self.distance: Distance = distance

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the accuracy; {} without a gallery."""
        if gallery is None:
            return {}
        if queries.labels.ndim != 1:
            raise ValueError(f"labels {tuple(queries.labels.shape)} must be (n,): a vote has one winner")
        predicted = knn_predict(
            queries.embeddings,
            gallery.embeddings,
            gallery.labels,
            self.k,
            self.weighted,
            self.distance,
        )
        right = (predicted == queries.labels).to(torch.float64)
        return {"weighted_knn_accuracy" if self.weighted else "knn_accuracy": float(right.mean())}
