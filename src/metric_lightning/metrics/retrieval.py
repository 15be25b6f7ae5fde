"""Retrieval metrics of an embedded set."""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.functional import ranking
from metric_lightning.functional.relevant_items import Matching, relevance_of_labels
from metric_lightning.functional.relevant_items import Relevance as RelevantItems
from metric_lightning.functional.relevant_ranks import RelevantRanks
from metric_lightning.functional.retrieval import Skipped, SkippedGroup, ranked_blocks
from metric_lightning.functional.scores import Distance, Scores
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.relevance import Relevance

Search = Literal["queries", "gallery", "gallery_without_own"]


class RetrievalMetrics(EmbeddingMetric):
    """How well the neighbours of a sample are of its kind.

    Each figure is the mean over queries of a function of `functional.ranking`, where the formulas stand:
    `precision_at_<k>`, `recall_at_<k>` (hit rate: a relevant item is among the first k), `ndcg_at_<k>`, `r_precision`,
    `map_at_r`; with `full_ranking` also `mean_average_precision` and `mean_reciprocal_rank`. And
    `queries_without_relevant`, how many queries the means leave out.

    - **Self matches**: in a leave-one-out search a query is not compared with itself. It is known
      by its position, not by its distance: a duplicate of a query is an item like any other.
    - **Ties**: items at the same distance stand in random order, and a figure is its expected value
      over the orders. Embeddings that are equal bit for bit always tie; others when their distances
      are equal in float32 (in float64 for embeddings in float64).
    - **No relevant item**: the query is left out, and counted. With no query left, figures are nan.
    - **Several labels**: with labels (n, C) an item is relevant when it shares at least one label
      with the query; with `relevance`, when that makes the two a positive pair.
    - **Short gallery**: ranks beyond the gallery's end hold nothing relevant.

    Exact, in O(block x M) memory. Without `full_ranking` the cost is near that of the distances'
    matrix product as long as queries have few relevant items (less than about 1% of the gallery);
    otherwise rows are sorted.

    Args:
        precision_at: the k of precision at k.
        recall_at: the k of recall at k.
        ndcg_at: the k of NDCG at k.
        full_ranking: also give the figures that need all ranks.
        distance: "euclidean" (its square ranks alike), "cosine" or "dot".
        search: "queries": leave-one-out among the queries, whether or not a gallery is given;
            "gallery": in the gallery, which holds no query; "gallery_without_own": in the gallery,
            where the item with the query's index is the query. Without a gallery the last two give
            no figures.
        skip_group: where queries and items have groups, which items of a query's own group are left
            out of its search: "relevant" (the relevant ones: re-identification's same person on the
            same camera) or "all".
        relevance: what makes an item relevant, where it is more than an equal or shared label: that of the loss, say.
            An item in neither mask of its pairs is in the ranking, and not relevant.

    Raises:
        ValueError: an argument outside its range, or embeddings that aren't finite.

    Example:
        >>> line = torch.tensor([[0.0], [1.0], [1.5], [9.0]])
        >>> line = EmbeddedSet(line, torch.tensor([0, 0, 1, 1]), torch.arange(4))
        >>> RetrievalMetrics().evaluate(line)
        {'precision_at_1': 0.5, 'r_precision': 0.5, 'map_at_r': 0.5, 'queries_without_relevant': 0.0}
    """

    def __init__(
        self,
        precision_at: tuple[int, ...] = (1,),
        recall_at: tuple[int, ...] = (),
        ndcg_at: tuple[int, ...] = (),
        full_ranking: bool = False,
        distance: Distance = "euclidean",
        search: Search = "queries",
        skip_group: SkippedGroup = "relevant",
        relevance: Relevance | None = None,
    ) -> None:
        super().__init__()
        for name, ks in (
            ("precision_at", precision_at),
            ("recall_at", recall_at),
            ("ndcg_at", ndcg_at),
        ):
            if any(k < 1 for k in ks):
                raise ValueError(f"{name}={tuple(ks)} must hold whole numbers from 1 on")
        if search not in ("queries", "gallery", "gallery_without_own"):
            raise ValueError(f"search={search!r} must be 'queries', 'gallery' or 'gallery_without_own'")
        self.precision_at, self.recall_at, self.ndcg_at = (
            tuple(precision_at),
            tuple(recall_at),
            tuple(ndcg_at),
        )
        self.full_ranking = full_ranking
        self.distance: Distance = distance
        self.search: Search = search
        self.uses_gallery = search != "queries"
        self.skip_group: SkippedGroup = skip_group
        self.relevance = relevance

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the mean of each figure over the queries that have a relevant item."""
        values = self.values(queries, gallery)
        if not values:
            return {}
        counted = ~values["r_precision"].isnan()
        figures = {name: float(value[counted].mean()) for name, value in values.items()}
        return figures | {"queries_without_relevant": float((~counted).sum())}

    def values(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, Tensor]:
        """Return each figure of every query, (Q,) float64; nan for one without a relevant item."""
        if self.search == "queries":
            gallery = queries
        if gallery is None:
            return {}
        scores = Scores(queries.embeddings, gallery.embeddings, self.distance)
        relevance = self._relevant_items(queries.labels, gallery.labels)
        groups = (queries.groups, gallery.groups)
        skipped = Skipped(self._own(queries, gallery), *groups, of_group=self.skip_group)
        depth = None if self.full_ranking else max((1, *self.precision_at, *self.recall_at, *self.ndcg_at))
        values: dict[str, Tensor] = {}
        for rows, ranks in ranked_blocks(scores, relevance, skipped, depth):
            for name, value in self._of_block(ranks).items():
                whole = values.setdefault(name, value.new_empty(len(queries.labels)))
                whole[rows] = value
        return values or self._of_block(_no_ranks())

    def _relevant_items(self, query_labels: Tensor, gallery_labels: Tensor) -> RelevantItems:
        if self.relevance is None:
            return relevance_of_labels(query_labels, gallery_labels)
        pairs_of = self.relevance.to(query_labels.device)
        return Matching(lambda some, every: pairs_of(some, every, None).positive, query_labels, gallery_labels)

    def _of_block(self, ranks: RelevantRanks) -> dict[str, Tensor]:
        values = {f"precision_at_{k}": ranking.precision_at(ranks, k) for k in self.precision_at}
        values |= {f"recall_at_{k}": ranking.recall_at(ranks, k) for k in self.recall_at}
        values |= {f"ndcg_at_{k}": ranking.ndcg_at(ranks, k) for k in self.ndcg_at}
        values |= {"r_precision": ranking.r_precision(ranks), "map_at_r": ranking.map_at_r(ranks)}
        if self.full_ranking:
            values["mean_average_precision"] = ranking.average_precision(ranks)
            values["mean_reciprocal_rank"] = ranking.reciprocal_rank(ranks)
        return values

    def _own(self, queries: EmbeddedSet, gallery: EmbeddedSet) -> Tensor | None:
        if self.search == "queries":
            return torch.arange(len(queries.labels), device=queries.embeddings.device)
        if self.search == "gallery":
            return None
        ordered, order = gallery.indices.sort()
        if not len(order):
            return torch.full_like(queries.indices, -1)
        place = torch.searchsorted(ordered, queries.indices).clamp(max=len(ordered) - 1)
        return torch.where(ordered[place] == queries.indices, order[place], -1)


def _no_ranks() -> RelevantRanks:
    nothing = torch.empty(0, 0, dtype=torch.int64)
    return RelevantRanks(nothing.bool(), nothing, nothing, nothing, nothing)
