"""A training that goes wrong says so, and what to do about it."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from metric_lightning.callbacks.conditions import CONDITIONS, DIVERGED, NO_FAULTS, Observation
from metric_lightning.callbacks.messages import note, warn
from metric_lightning.callbacks.metric_module import require_metric_module
from metric_lightning.callbacks.observing import Progress, gradient_norm, observe
from metric_lightning.callbacks.run_folder import is_rehearsal
from metric_lightning.callbacks.samples import dataset_of, inputs_of, stratified_choice
from metric_lightning.modules import MetricModule

_OF_A_CLASS = 5  # samples, at least, so that there are positive pairs
_FIGURES = ("train/loss", "train/positive_distance", "train/negative_distance")


class CollapseDiagnosis(Callback):
    """Names what is wrong with a training, in one sentence with the remedy, once: in console and TensorBoard.

    After each validation of a fit a few validation embeddings are measured (see `Health`); the measures are logged as
    `val_embedding/<measure>` (without validation data, training samples after each epoch, `train_embedding/<measure>`).
    The norm of the gradient is logged as `train/gradient_norm`. A condition (see `conditions`) is named when it has
    held for `patience` validations in a row, or holds at the end of training: an embedding that has collapsed to a
    point or to a line, no active pairs or triplets left, a gradient that has vanished, embeddings that grow without
    end, samples that are everyone's neighbours. A divergence is named at once, on the training steps that are logged
    too, and where metrics refuse such embeddings. A condition that ceases is told. What was named is kept in
    checkpoints: a run that goes on does not repeat it.

    Cost: 30 ms a validation for 500 samples on one core, and a pass over the gradients on the steps that are logged;
    O(max_points^2) memory.

    Args:
        patience: validations; the hardest miners stay near a point for some epochs before they find their way.
        max_points: validation samples that are measured; of many classes some are left out, so that those measured
            have five samples each.

    Attributes:
        named: the faults named so far, by name.
        noted: what else was told: that training is `finished`, as no batch costs anything and classes are told apart.

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
        self._forget()

    def _forget(self) -> None:
        self.named: dict[str, str] = {}
        self.noted: dict[str, str] = {}
        self._held: dict[str, int] = {}
        self._holding: dict[str, str] = {}  # the sentences of those that held at the last observation
        self._norms: list[float] = []
        self._progress = Progress()

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on must know."""
        return {"named": self.named, "noted": self.noted, "held": self._held, "norms": self._norms}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it up."""
        self.named, self.noted = dict(state_dict["named"]), dict(state_dict["noted"])
        self._held, self._norms = dict(state_dict["held"]), list(state_dict["norms"])

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        require_metric_module(self, pl_module)
        if stage == "fit":  # before a checkpoint is read
            self._forget()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Count batches that cost something, on their device: it isn't waited for."""
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            self._progress.count(loss.detach())
        if _is_logged(trainer, trainer.global_step):
            self._look_for_divergence(trainer)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        """Measure the gradient, after gradients of ranks are joined and unscaled, before they are clipped."""
        if not _is_logged(trainer, trainer.global_step + 1):
            return
        norm = gradient_norm(pl_module.parameters())
        self._progress.gradients.append(norm)
        for logger in trainer.loggers:
            logger.log_metrics({"train/gradient_norm": norm}, trainer.global_step)

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Name a divergence that made metrics refuse the embeddings, which ends the run."""
        samples = getattr(pl_module, "evaluated", {}).get("val")
        if trainer.state.fn == "fit" and samples is not None and not torch.isfinite(samples.embeddings).all():
            self._tell(
                trainer, "diverged", f"Training has diverged: embeddings are {DIVERGED}", trainer.current_epoch + 1
            )

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = require_metric_module(self, pl_module)
        # Every rank has the whole validation set, and so comes to the same conclusion: one is enough.
        if trainer.state.fn != "fit" or trainer.sanity_checking or not trainer.is_global_zero:
            return
        samples = module.evaluated.get("val")
        if samples is not None and len(samples.labels):
            chosen = self._choice(samples.labels)
            self._diagnose(trainer, module, samples.embeddings[chosen], samples.labels[chosen], "val")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Without validation data the training samples are looked at."""
        if sum(trainer.num_val_batches) or not trainer.is_global_zero:
            return
        module, dataset = require_metric_module(self, pl_module), dataset_of(trainer, "train")
        if dataset is not None and len(dataset):
            samples = module.embed(inputs_of(dataset, self._choice(dataset.labels)), gather=False)
            self._diagnose(trainer, module, samples.embeddings, samples.labels, "train")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Name what holds now: there is no later."""
        if not is_rehearsal(trainer):
            for name, sentence in self._holding.items():
                self._tell(trainer, name, sentence, trainer.current_epoch)

    def _choice(self, labels: Tensor) -> Tensor:
        one_label = labels if labels.ndim == 1 else labels.new_zeros(len(labels), dtype=torch.int64)
        return stratified_choice(one_label, self.max_points, at_least=_OF_A_CLASS)

    def _diagnose(self, trainer: Trainer, module: MetricModule, embeddings: Tensor, labels: Tensor, part: str) -> None:
        seen = observe(trainer, module, embeddings.float(), labels, self._progress, self._norms)
        self._norms.append(seen.norms[-1])
        self._progress.next()
        if seen.health is not None:
            measures = {f"{part}_embedding/{name}": value for name, value in seen.health._asdict().items()}
            for logger in trainer.loggers:
                logger.log_metrics(measures, trainer.global_step)
        self._name(trainer, seen)

    def _look_for_divergence(self, trainer: Trainer) -> None:
        figures = {name: float(trainer.callback_metrics[name]) for name in _FIGURES if name in trainer.callback_metrics}
        strange = {name for name, value in figures.items() if not math.isfinite(value)}
        if self._progress.broken:
            strange.add(_FIGURES[0])
        if strange:
            what = "the loss is" if _FIGURES[0] in strange else "embeddings are"
            self._tell(trainer, "diverged", f"Training has diverged: {what} {DIVERGED}", trainer.current_epoch + 1)

    def _name(self, trainer: Trainer, seen: Observation) -> None:
        self._holding = {}
        for condition in CONDITIONS:
            name, sentence = condition.__name__, condition(seen)
            held = self._held.get(name, 0)
            # Counted upwards while it holds, downwards since it has ceased.
            self._held[name] = max(held, 0) + 1 if sentence is not None else min(held, 0) - 1
            patience = 1 if seen.health is None else self.patience
            epochs = trainer.current_epoch + 1
            if sentence is not None:
                self._holding[name] = sentence
                if self._held[name] >= patience:
                    self._tell(trainer, name, sentence, epochs)
            if name in self.named and self._held[name] == -self.patience:
                note(trainer, f"After {epochs} epochs: no longer {name.replace('_', ' ')}.")

    def _tell(self, trainer: Trainer, name: str, sentence: str, epochs: int) -> None:
        """Tell it, once."""
        if name in self.named or name in self.noted:
            return
        whole = f"After {epochs} epoch{'s' if epochs != 1 else ''}: {sentence}"
        if name in {condition.__name__ for condition in NO_FAULTS}:
            self.noted[name] = sentence
            note(trainer, whole)
        else:
            self.named[name] = sentence
            warn(trainer, f"diagnosis/{name}", whole)


def _is_logged(trainer: Trainer, step: int) -> bool:
    return step % max(1, trainer.log_every_n_steps) == 0  # type: ignore[attr-defined]
