"""Accuracy of fixed one-shot trials that are the test set of a run."""

import torch
from torch import Tensor

from metric_lightning.functional.few_shot import accuracy_of_scores, estimate, nearest_neighbour_scores
from metric_lightning.functional.scores import check_finite
from metric_lightning.functional.unit_rows import unit_rows
from metric_lightning.metrics.base import EmbeddedSet, EmbeddingMetric
from metric_lightning.metrics.judging import JudgingDistance, check_judging, learned, table_of_distances


class OneShotTrials(EmbeddingMetric):
    """The share of fixed one-shot trials told right: Omniglot's official 20-way figure, where `Omniglot(trials=...)`
    tests.

    Figures: `one_shot_accuracy`, the mean over trials, and `one_shot_accuracy_interval`, the half-width of its 95%
    interval, 1.96 standard errors over trials.

    The set holds run after run in the order of its indices: `ways` pictures of as many classes to compare with, then
    `ways` pictures to tell, each of one of those classes. A trial is right where the nearest of the run's first ones
    has its label; among several equally near the expected value of a draw counts. A set of any other form, a
    validation set say, has no trials, and so no figures: nothing can be chosen by them.

    Args:
        ways: classes a run, and trials a run.
        distance: "euclidean", "cosine", or "loss": the distance of the module's loss, a learned pair score say.

    Raises:
        ValueError: an argument outside its range, or embeddings that aren't finite.

    References:
        Lake, Salakhutdinov, Tenenbaum: Human-level concept learning through probabilistic program induction (Science
        2015).

    Example:
        >>> points = torch.tensor([[0.0], [1.0], [0.9], [0.2]])
        >>> run = EmbeddedSet(points, torch.tensor([3, 4, 4, 3]), torch.arange(4))
        >>> OneShotTrials(ways=2).evaluate(run)
        {'one_shot_accuracy': 1.0, 'one_shot_accuracy_interval': 0.0}
        >>> OneShotTrials().evaluate(run)
        {}
    """

    uses_gallery = False

    def __init__(self, ways: int = 20, distance: JudgingDistance = "euclidean") -> None:
        super().__init__()
        if ways < 2:
            raise ValueError(f"ways={ways} must be at least 2")
        self.ways = ways
        self.distance = check_judging(distance)

    def evaluate(self, queries: EmbeddedSet, gallery: EmbeddedSet | None = None) -> dict[str, float]:
        """Return accuracy and interval; {} for a set that holds no trials. A gallery isn't looked at."""
        classes = self._classes(queries.labels)
        if classes is None:
            return {}
        embeddings = check_finite(queries.embeddings, "embeddings")
        if self.distance == "cosine":
            embeddings = unit_rows(embeddings)
        known, told = embeddings.unflatten(0, (-1, 2, self.ways)).unbind(1)
        hits = accuracy_of_scores(self._scores(known, told), classes)
        mean, interval = estimate(hits.flatten())
        return {"one_shot_accuracy": mean, "one_shot_accuracy_interval": interval}

    def _scores(self, known: Tensor, told: Tensor) -> Tensor:
        """(R, T, W), larger is closer, of known (R, W, D) and told (R, T, D)."""
        if self.distance != "loss":
            return nearest_neighbour_scores(known[:, :, None], told)
        distance = learned(*self._loss_distance)
        return -torch.stack([table_of_distances(distance, *run) for run in zip(told, known, strict=True)])

    def _classes(self, labels: Tensor) -> Tensor | None:
        """(R, T) the place of each trial's class in its run; None where the labels (n,) aren't those of trials."""
        if labels.ndim != 1 or len(labels) == 0 or len(labels) % (2 * self.ways):
            return None
        known, told = labels.unflatten(0, (-1, 2, self.ways)).unbind(1)
        equal = told[:, :, None] == known[:, None, :]
        return equal.int().argmax(2) if bool((equal.sum(2) == 1).all()) else None
