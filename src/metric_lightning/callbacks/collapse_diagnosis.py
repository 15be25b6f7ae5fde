"""A training that goes wrong says so, and what to do about it."""

import math
from collections.abc import Iterable
from statistics import median

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from metric_lightning.callbacks.conditions import CONDITIONS, Observation
from metric_lightning.callbacks.embedding_health import health_of
from metric_lightning.callbacks.loss_distances import distance_scale, loss_distances
from metric_lightning.callbacks.messages import note, warn
from metric_lightning.callbacks.metric_module import require_metric_module
from metric_lightning.callbacks.samples import samples_of, stratified_choice
from metric_lightning.modules import MetricModule


class CollapseDiagnosis(Callback):
    """Names what is wrong with a training, in one sentence with the remedy, once: in console and TensorBoard.

    After each validation of a fit a few validation embeddings are measured (see `Health`); the measures are logged as
    `val_embedding/<measure>` (without validation data, training samples after each epoch, `train_embedding/<measure>`).
    The norm of the gradient is logged as `train/gradient_norm`. A condition (see `conditions`) is named when it has
    held for `patience` validations in a row: an embedding that has collapsed to a point or to a line, no active pairs
    or triplets left, a gradient that has vanished, embeddings that grow without end, samples that are everyone's
    neighbours; embeddings that are not finite are named at once. A condition that ceases is told too.

    Cost: 30 ms a validation for 500 samples on one core, and a pass over the gradients on the steps that are logged;
    O(max_points^2) memory.

    Args:
        patience: validations; the hardest miners stay near a point for some epochs before they find their way.
        max_points: validation samples that are measured.

    Attributes:
        named: the conditions named so far, by name.

    Raises:
        ValueError: patience is less than 1 or max_points less than 2, or (in a run) the module is no `MetricModule`.
    """

    def __init__(self, patience: int = 3, max_points: int = 500):
        if patience < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        if max_points < 2:
            raise ValueError(f"max_points must be at least 2, got {max_points}")
        self.patience = patience
        self.max_points = max_points
        self.named: dict[str, str] = {}
        self._held: dict[str, int] = {}
        self._norms: list[float] = []
        self._gradients: list[float] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        require_metric_module(self, pl_module)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.named, self._held, self._norms, self._gradients = {}, {}, [], []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure the gradient, after gradients of ranks are joined and unscaled, before they are clipped."""
        if (trainer.global_step + 1) % max(1, trainer.log_every_n_steps):  # type: ignore[attr-defined]
            return
        norm = gradient_norm(pl_module.parameters())
        self._gradients.append(norm)
        for logger in trainer.loggers:
            logger.log_metrics({"train/gradient_norm": norm}, trainer.global_step)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = require_metric_module(self, pl_module)
        # Every rank has the whole validation set, and so comes to the same conclusion: one is enough.
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        samples = module.evaluated.get("val")
        if samples is None or samples.labels.ndim != 1 or len(samples.labels) == 0:
            return
        self._diagnose(trainer, module, samples.embeddings, samples.labels, "val")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without validation data the training samples are looked at."""
        if sum(trainer.num_val_batches) or not trainer.is_global_zero:
            return
        module = require_metric_module(self, pl_module)
        samples = samples_of(trainer, module, "train", self.max_points)
        if samples is not None:
            self._diagnose(trainer, module, samples.embeddings, samples.labels, "train")

    def _diagnose(self, trainer: Trainer, module: MetricModule, embeddings: Tensor, labels: Tensor, part: str) -> None:
        seen = self._observe(trainer, module, embeddings, labels)
        if seen.health is not None:
            measures = {f"{part}_embedding/{name}": value for name, value in seen.health._asdict().items()}
            for logger in trainer.loggers:
                logger.log_metrics(measures, trainer.global_step)
        self._name(trainer, seen)

    def _observe(self, trainer: Trainer, module: MetricModule, embeddings: Tensor, labels: Tensor) -> Observation:
        chosen = stratified_choice(labels, self.max_points)
        embeddings, labels = embeddings[chosen], labels[chosen]
        distances = loss_distances(module.loss, embeddings, embeddings)
        unknown = torch.tensor(math.nan)
        health = health_of(embeddings, labels, distances) if torch.isfinite(embeddings).all() else None
        self._norms.append(math.nan if health is None else health.norm)
        gradients, self._gradients = self._gradients, []
        return Observation(
            health=health,
            dimensions=embeddings.shape[1],
            classes=len(labels.unique()),
            scale=distance_scale(module.loss),
            loss=float(trainer.callback_metrics.get("train/loss", unknown)),
            active=float(trainer.callback_metrics.get("train/active_pairs", unknown)),
            gradient=median(gradients) if gradients else math.nan,
            norms=tuple(self._norms),
        )

    def _name(self, trainer: Trainer, seen: Observation) -> None:
        for condition in CONDITIONS:
            name, sentence = condition.__name__, condition(seen)
            held = self._held.get(name, 0)
            # Counted upwards while it holds, downwards since it has ceased.
            self._held[name] = max(held, 0) + 1 if sentence is not None else min(held, 0) - 1
            patience = 1 if seen.health is None else self.patience
            if sentence is not None and self._held[name] >= patience and name not in self.named:
                self.named[name] = sentence
                warn(trainer, f"diagnosis/{name}", f"After {trainer.current_epoch + 1} epochs: {sentence}")
            if name in self.named and self._held[name] == -self.patience:
                note(trainer, f"After {trainer.current_epoch + 1} epochs: no longer {name.replace('_', ' ')}.")


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
