"""Few-shot accuracy of an embedded set."""

import torch
from torch import Tensor

from metric_lightning.functional.few_shot import (
    Episodes,
    accuracy_of_scores,
    draw_episodes,
    estimate,
    nearest_neighbour_scores,
    prototype_scores,
)
from metric_lightning.functional.scores import check_finite
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.judging import JudgingDistance, check_judging, learned, table_of_distances

EPISODES_AT_A_TIME = 50


class FewShotAccuracy(EmbeddingMetric):
    """Accuracy over episodes: `ways` classes, `shots` samples of each to compare with, `queries` samples of each to
    tell.

    Figures, W and K for ways and shots: `<W>_way_<K>_shot_nearest` takes the class of the nearest sample,
    `<W>_way_<K>_shot_prototype` that of the nearest class mean; both means over episodes, and with `_interval` appended
    the half-width of the 95% interval, 1.96 standard errors over episodes.

    The same seed and the same labels give the same episodes, so that networks are compared on equal tasks.
    Classes with fewer than shots + queries samples don't take part. Where several classes are equally near, the
    expected value of a draw among them counts. With fewer than `ways` large enough classes the figures are nan.

    Args:
        ways: classes an episode.
        shots: samples a class to compare with.
        queries: samples a class to tell.
        episodes: number of episodes.
        seed: of the draw.
        distance: "euclidean", "cosine" (Euclidean between embeddings of length 1), or "loss": the distance of the
            module's loss, a learned pair score say; it judges pairs of samples, so of the rules only "nearest" is
            given.

    Raises:
        ValueError: a number less than 1, labels (n, C), or embeddings that aren't finite.

    Example:
        >>> line = EmbeddedSet(torch.tensor([[0.0], [1.0], [8.0], [9.0]]), torch.tensor([0, 0, 1, 1]), torch.arange(4))
        >>> FewShotAccuracy(ways=2, shots=1, queries=1, episodes=10).evaluate(line)["2_way_1_shot_nearest"]
        1.0
    """

    uses_gallery = False

    def __init__(
        self,
        ways: int = 5,
        shots: int = 1,
        queries: int = 15,
        episodes: int = 600,
        seed: int = 0,
        distance: JudgingDistance = "euclidean",
    ) -> None:
        super().__init__()
        for name, value in (("ways", ways), ("shots", shots), ("queries", queries), ("episodes", episodes)):
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        self.ways, self.shots, self.queries, self.episodes, self.seed = ways, shots, queries, episodes, seed
        self.distance = check_judging(distance)

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return accuracy and interval of both rules; a gallery isn't looked at."""
        name = f"{self.ways}_way_{self.shots}_shot_"
        figures: dict[str, float] = {}
        for rule, values in self.values(queries).items():
            mean, interval = estimate(values) if len(values) else (float("nan"), float("nan"))
            figures |= {name + rule: mean, f"{name}{rule}_interval": interval}
        return figures

    def values(self, samples: EmbeddedSet) -> dict[str, Tensor]:
        """Return the accuracy of every episode, (E,) float64 for each rule; (0,) where no episode can be drawn."""
        if samples.labels.ndim != 1:
            raise ValueError(f"labels {tuple(samples.labels.shape)} must be (n,): an episode has one right class")
        embeddings = check_finite(samples.embeddings, "embeddings")
        if self.distance == "cosine":
            embeddings = unit_rows(embeddings)
        large = torch.unique(samples.labels, return_counts=True)[1] >= self.shots + self.queries
        rules = ("nearest",) if self.distance == "loss" else ("nearest", "prototype")
        if int(large.sum()) < self.ways:
            return {rule: torch.empty(0, dtype=torch.float64) for rule in rules}
        drawn = draw_episodes(samples.labels, self.episodes, self.ways, self.shots, self.queries, self.seed)
        if self.distance == "loss":
            return {"nearest": self._by_pairs(embeddings, drawn)}
        values: dict[str, list[Tensor]] = {"nearest": [], "prototype": []}
        right = torch.arange(self.ways, device=embeddings.device).repeat_interleave(self.queries)
        for support, told in zip(*(positions.split(EPISODES_AT_A_TIME) for positions in drawn), strict=True):
            known, asked = embeddings[support.to(embeddings.device)], embeddings[told.flatten(1).to(embeddings.device)]
            for rule, scores in (("nearest", nearest_neighbour_scores), ("prototype", prototype_scores)):
                hits = accuracy_of_scores(scores(known, asked), right.expand(len(support), -1))
                values[rule].append(hits.mean(1))
        return {rule: torch.cat(parts) for rule, parts in values.items()}

    def _by_pairs(self, embeddings: Tensor, drawn: Episodes) -> Tensor:
        """(E,) the accuracy of each episode by the least distance of a query to a sample of each class."""
        distance, right = learned(*self._loss_distance), torch.arange(self.ways).repeat_interleave(self.queries)
        values = []
        for support, told in zip(*drawn, strict=True):
            found = table_of_distances(distance, embeddings[told.flatten()], embeddings[support.flatten()])
            values.append(accuracy_of_scores(-found.unflatten(1, support.shape).amin(2), right).mean())
        return torch.stack(values)
