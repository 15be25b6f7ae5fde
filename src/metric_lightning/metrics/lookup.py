"""How well the first view of a sample finds the second among all different ones."""

import torch

from metric_lightning.functional.few_shot import estimate
from metric_lightning.functional.scores import Distance
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.cross_view import both_ways
from metric_lightning.metrics.retrieval import RetrievalMetrics


class LookupAccuracy(EmbeddingMetric):
    """Looks up the second view by the first: of all different second texts, which one is meant?

    Second views of one label are one item, so each query has one right item. The items are the samples' own and, where
    there is a gallery (while testing), the gallery's.

    Figures: `lookup_recall_at_<k>`, `lookup_mean_reciprocal_rank`, `lookup_recall_at_1_interval` (the half-width of its
    95% interval, 1.96 standard errors over queries) and `lookup_items`, how many items there are to choose from:
    figures of other numbers of items can't be compared. Equal distances count with the expected value of a random
    order.

    Args:
        recall_at: the k.
        distance: "euclidean", "cosine" or "dot".

    Raises:
        ValueError: embeddings of an odd number of components, or an argument outside its range.

    Example:
        >>> points = torch.tensor([[0.0, 0.1], [0.2, 0.1], [5.0, 4.0]])
        >>> samples = EmbeddedSet(points, torch.tensor([0, 0, 1]), torch.arange(3))
        >>> LookupAccuracy(recall_at=(1,)).evaluate(samples)["lookup_recall_at_1"]
        1.0
    """

    def __init__(self, recall_at: tuple[int, ...] = (1, 5), distance: Distance = "euclidean") -> None:
        super().__init__()
        self._search = RetrievalMetrics(recall_at=recall_at, full_ranking=True, distance=distance, search="gallery")

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the figures of first views among all different second views."""
        asking, items = both_ways(queries)["first_to_second"]
        if gallery is not None:
            others = both_ways(gallery)["first_to_second"][1]
            items = EmbeddedSet(
                torch.cat([items.embeddings, others.embeddings]),
                torch.cat([items.labels, others.labels]),
                torch.cat([items.indices, others.indices]),
            )
        first = _first_of_each_label(items.labels)
        items = EmbeddedSet(items.embeddings[first], items.labels[first], items.indices[first])
        values = self._search.values(asking._replace(groups=None), items)
        wanted = [*(f"recall_at_{k}" for k in self._search.recall_at), "mean_reciprocal_rank"]
        figures = {f"lookup_{name}": float(values[name].mean()) for name in wanted}
        if "recall_at_1" in values:
            figures["lookup_recall_at_1_interval"] = estimate(values["recall_at_1"]).interval
        return figures | {"lookup_items": float(len(first))}


def _first_of_each_label(labels: torch.Tensor) -> torch.Tensor:
    ordered, order = labels.sort(stable=True)
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return order[fresh]
