"""How well one view of a sample finds the other."""

from typing import Literal

import torch
from torch import Tensor

from metric_lightning.functional.few_shot import accuracy_of_scores, draw_episodes, estimate
from metric_lightning.functional.scores import check_finite
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.retrieval import RetrievalMetrics

Views = dict[str, tuple[EmbeddedSet, EmbeddedSet]]


class CrossViewRetrieval(EmbeddingMetric):
    """Search of one view among the other's, both ways; embeddings hold both views side by side (see `TwoTowers`).

    Figures, for each way (`first_to_second_...`: the first views are the queries, the second the gallery) those of
    `RetrievalMetrics`, by whose definitions they are; and `cross_map_at_r`, the mean of both ways, to choose
    checkpoints by.

    Args:
        own: "left_out": a sample's own other view is no item of its search, so that what is found is another sample of
            the class; "kept": it is one like any other, and where every sample has a label of its own the only right
            one.
        recall_at: the k of recall at k.
        distance: "euclidean", "cosine" or "dot".

    Raises:
        ValueError: an argument outside its range, or embeddings of an odd number of components.

    Example:
        >>> samples = EmbeddedSet(torch.tensor([[0.0, 0.3], [1.0, 6.1], [5.0, 5.2]]), torch.arange(3), torch.arange(3))
        >>> found = CrossViewRetrieval(own="kept").evaluate(samples)
        >>> found["first_to_second_precision_at_1"], found["second_to_first_precision_at_1"]
        (0.666..., 0.666...)
    """

    uses_gallery = False

    def __init__(
        self,
        own: Literal["left_out", "kept"] = "left_out",
        recall_at: tuple[int, ...] = (1, 5),
        distance: Literal["euclidean", "cosine", "dot"] = "euclidean",
    ) -> None:
        super().__init__()
        if own not in ("left_out", "kept"):
            raise ValueError(f"own={own!r} must be 'left_out' or 'kept'")
        search: Literal["gallery", "gallery_without_own"] = "gallery" if own == "kept" else "gallery_without_own"
        self._search = RetrievalMetrics(recall_at=recall_at, distance=distance, search=search)

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return the figures of the samples' own two views; another gallery isn't looked at."""
        figures: dict[str, float] = {}
        for way, (asking, asked) in both_ways(queries).items():
            figures |= {f"{way}_{name}": value for name, value in self._search.evaluate(asking, asked).items()}
        mean = sum(value for name, value in figures.items() if name.endswith("_map_at_r")) / 2
        return figures | {"cross_map_at_r": mean}


class CrossViewTrials(EmbeddingMetric):
    """Trials of one view against the other: which of `ways` classes is it? Both ways.

    An episode draws `ways` classes and two samples of each; one view of the first samples is told by the nearest of the
    other view of the second ones. No sample meets its own other view: in Omniglot, whose drawings of a character are by
    twenty people, what is compared is always another person's drawing.

    Figures, for each way: `first_to_second_<W>_way`, the mean over episodes, and with `_interval` appended the
    half-width of the 95% interval, 1.96 standard errors over episodes. Chance is 1 / ways. The same seed and the same
    labels give the same episodes. With fewer than `ways` classes of two samples figures are nan.

    Args:
        ways: classes an episode, and trials.
        episodes: how many.
        seed: of the draw.
        distance: "euclidean" or "cosine".

    Raises:
        ValueError: a number below its least, or embeddings of an odd number of components.

    Example:
        >>> points = torch.tensor([[0.0, 0.1], [0.2, 0.0], [5.0, 5.0], [5.1, 5.2]])
        >>> trials = CrossViewTrials(ways=2, episodes=3)
        >>> trials.evaluate(EmbeddedSet(points, torch.tensor([0, 0, 1, 1]), torch.arange(4)))["first_to_second_2_way"]
        1.0
    """

    uses_gallery = False

    def __init__(
        self, ways: int = 20, episodes: int = 400, seed: int = 0, distance: Literal["euclidean", "cosine"] = "euclidean"
    ) -> None:
        super().__init__()
        if ways < 2 or episodes < 1:
            raise ValueError(f"ways={ways} must be at least 2 and episodes={episodes} at least 1")
        if distance not in ("euclidean", "cosine"):
            raise ValueError(f"distance={distance!r} must be 'euclidean' or 'cosine'")
        self.ways, self.episodes, self.seed, self.distance = ways, episodes, seed, distance

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return accuracy and interval of both ways; a gallery isn't looked at."""
        figures: dict[str, float] = {}
        enough = int((torch.unique(queries.labels, return_counts=True)[1] >= 2).sum()) >= self.ways
        for way, (asking, asked) in both_ways(queries).items():
            mean, interval = (float("nan"),) * 2
            if enough:
                mean, interval = estimate(self._hits(asking.embeddings, asked.embeddings, queries.labels))
            figures |= {f"{way}_{self.ways}_way": mean, f"{way}_{self.ways}_way_interval": interval}
        return figures

    def _hits(self, asking: Tensor, asked: Tensor, labels: Tensor) -> Tensor:
        if self.distance == "cosine":
            asking, asked = unit_rows(asking), unit_rows(asked)
        known, told = draw_episodes(labels, self.episodes, self.ways, shots=1, queries=1, seed=self.seed)
        right = torch.arange(self.ways)
        hits = []
        for support, questions in zip(known.flatten(1), told.flatten(1), strict=True):
            hits.append(accuracy_of_scores(-torch.cdist(asking[questions], asked[support]), right).mean())
        return torch.stack(hits)


def both_ways(samples: EmbeddedSet) -> Views:
    """Return the views that ask and those that are asked, by the name of the way.

    Raises:
        ValueError: embeddings of an odd number of components, or not finite.
    """
    if samples.embeddings.shape[1] % 2 and len(samples.labels):
        raise ValueError(
            f"embeddings have {samples.embeddings.shape[1]} components, which can't be two views side by side; use "
            "networks.TwoTowers"
        )
    first, second = (
        samples._replace(embeddings=view)
        for view in check_finite(samples.embeddings, "embeddings").tensor_split(2, dim=1)
    )
    return {"first_to_second": (first, second), "second_to_first": (second, first)}
