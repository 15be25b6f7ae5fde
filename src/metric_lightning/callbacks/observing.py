"""What is seen of a training: of its batches as they pass, and of its embedding at the end of an epoch."""

import math
from collections.abc import Iterable, Sequence

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn

from metric_lightning.callbacks.conditions import ENOUGH_BATCHES, Observation
from metric_lightning.callbacks.embedding_health import health_of
from metric_lightning.callbacks.loss_distances import distance_scale, loss_distances, pairwise_part, sees_origin
from metric_lightning.callbacks.recipes import recipe_of
from metric_lightning.modules import MetricModule


class Progress:
    """What batches tell between two observations; counted on their device, which isn't waited for.

    Attributes:
        broken: how many had a loss that isn't finite.
        gradients: norms of the gradient, of steps that are logged.

    Example:
        >>> progress = Progress()
        >>> for loss in (0.5, 0.0, 0.0):
        ...     progress.count(torch.tensor(loss))
        >>> progress.active_of()
        (1, 3)
    """

    def __init__(self) -> None:
        self._past: list[tuple[int, int]] = []  # active batches and all, of earlier observations
        self._begin()

    def _begin(self) -> None:
        self._batches = 0
        self._active: Tensor | int = 0
        self.broken: Tensor | int = 0
        self.gradients: list[float] = []

    def count(self, loss: Tensor) -> None:
        """Count a batch by its loss, a scalar; on many ranks that of its own rows."""
        self._batches += 1
        self._active = self._active + (loss != 0)
        self.broken = self.broken + ~torch.isfinite(loss)

    def next(self) -> None:
        """Begin anew, after an observation."""
        self._past = [*self._past, (int(self._active), self._batches)][-ENOUGH_BATCHES:]
        self._begin()

    def active_of(self) -> tuple[int, int]:
        """Return how many batches had a loss that isn't 0, of how many: those since the last observation.

        Where they are few, those before are counted too, observation by observation until there are enough.
        """
        active, batches = int(self._active), self._batches
        for earlier, of in reversed(self._past):
            if batches >= ENOUGH_BATCHES:
                break
            active, batches = active + earlier, batches + of
        return active, batches


def observe(
    trainer: Trainer,
    module: MetricModule,
    embeddings: Tensor,
    labels: Tensor,
    progress: Progress,
    norms: Sequence[float],
) -> Observation:
    """Return what is known now.

    Args:
        trainer: has the figures logged last.
        module: has the loss.
        embeddings: (n, D) float32 on the CPU.
        labels: (n,), or (n, L) of samples with several: their pairs are those that the loss's relevance makes.
        progress: since the last observation.
        norms: those of the observations so far.
    """
    loss, unknown = module.loss, torch.tensor(math.nan)
    distances = loss_distances(loss, embeddings, embeddings)
    pairwise, pairs = pairwise_part(loss), None
    if labels.ndim > 1 and pairwise is not None:
        pairs = pairwise.relevance(labels, labels, torch.arange(len(labels)))
    active, batches = progress.active_of()
    finite = bool(torch.isfinite(embeddings).all())
    health = health_of(embeddings, labels, distances, pairs) if finite else None
    return Observation(
        health=health,
        dimensions=embeddings.shape[1],
        classes=len(labels.unique()) if labels.ndim == 1 else labels.shape[1],
        scale=distance_scale(loss),
        loss=float(trainer.callback_metrics.get("train/loss", unknown)),
        active=active / batches if batches else math.nan,
        batches=batches,
        gradient=max(progress.gradients, default=math.nan),
        norms=(*norms, math.nan if health is None else health.norm),
        sees_origin=sees_origin(loss, embeddings.shape[1]),
        own_distance=float(distances.diagonal().mean()),
        recipe=recipe_of(trainer, module, embeddings),
    )


def gradient_norm(parameters: Iterable[nn.Parameter]) -> float:
    """Return the Euclidean norm of all gradients together, 0 of none.

    Example:
        >>> weight = nn.Parameter(torch.tensor([1.0, 1.0]))
        >>> (weight * torch.tensor([3.0, 4.0])).sum().backward()
        >>> gradient_norm([weight])
        5.0
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0
