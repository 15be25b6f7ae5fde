"""Clustering metrics of an embedded set."""

import numpy as np
import torch
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_mutual_info_score, normalized_mutual_info_score
from sklearn.metrics.cluster import contingency_matrix

from metric_lightning.functional.pair_distances import TrueDistance
from metric_lightning.functional.scores import check_finite
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric


class ClusteringMetrics(EmbeddingMetric):
    """How well clusters found by k-means agree with the labels.

    Figures: `nmi`, the mutual information divided by the mean of both entropies; `ami`, the same adjusted for chance
    (Vinh, Epps, Bailey, JMLR 2010); `purity`, the share of samples whose label is their cluster's most frequent one.
    All by scikit-learn, whose conventions hold for a single class (1 where it is found). With no sample they are nan.

    Args:
        clusters: the number of clusters; None takes the number of different labels. Fewer samples make fewer clusters.
        restarts: k-means is run so many times, from other centres, and the best run counts.
        seed: of the initial centres.
        distance: "euclidean", or "cosine" (Euclidean between embeddings of length 1).

    Raises:
        ValueError: an argument outside its range, labels (n, C), or embeddings that aren't finite.

    Example:
        >>> line = EmbeddedSet(torch.tensor([[0.0], [1.0], [8.0], [9.0]]), torch.tensor([0, 0, 1, 1]), torch.arange(4))
        >>> ClusteringMetrics().evaluate(line)
        {'nmi': 1.0, 'ami': 1.0, 'purity': 1.0}
    """

    uses_gallery = False

    def __init__(
        self, clusters: int | None = None, restarts: int = 3, seed: int = 0, distance: TrueDistance = "euclidean"
    ) -> None:
        super().__init__()
        if clusters is not None and clusters < 1:
            raise ValueError(f"clusters={clusters} must be at least 1, or None")
        if restarts < 1:
            raise ValueError(f"restarts={restarts} must be at least 1")
        if distance not in ("euclidean", "cosine"):
            raise ValueError(f"distance={distance!r} must be 'euclidean' or 'cosine'")
        self.clusters, self.restarts, self.seed = clusters, restarts, seed
        self.distance: TrueDistance = distance

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the three figures; a gallery isn't looked at."""
        if queries.labels.ndim != 1:
            raise ValueError(f"labels {tuple(queries.labels.shape)} must be (n,): clusters don't overlap")
        if not len(queries.labels):
            return dict.fromkeys(("nmi", "ami", "purity"), float("nan"))
        embeddings = check_finite(queries.embeddings, "embeddings").detach().float()
        if self.distance == "cosine":
            embeddings = unit_rows(embeddings)
        points, labels = embeddings.cpu().numpy(), queries.labels.cpu().numpy()
        wanted = len(np.unique(labels)) if self.clusters is None else self.clusters
        # k-means can't make more clusters than there are different points, and warns
        wanted = min(wanted, len(np.unique(points, axis=0)))
        found = KMeans(wanted, n_init=self.restarts, random_state=self.seed).fit_predict(points)
        return {
            "nmi": float(normalized_mutual_info_score(labels, found)),
            "ami": float(adjusted_mutual_info_score(labels, found)),
            "purity": purity(queries.labels.cpu(), torch.from_numpy(found)),
        }


def purity(labels: torch.Tensor, clusters: torch.Tensor) -> float:
    """Return the share of samples (n,) whose label is the most frequent one of their cluster.

    Example:
        >>> purity(torch.tensor([0, 0, 1, 1]), torch.tensor([5, 5, 5, 6]))
        0.75
    """
    return float(contingency_matrix(labels.numpy(), clusters.numpy()).max(axis=0).sum() / len(labels))
