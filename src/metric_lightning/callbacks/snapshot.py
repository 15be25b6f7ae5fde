"""When callbacks look at the embedding: every so many epochs, at the end of training, after a test."""

from abc import ABC, abstractmethod
from typing import ClassVar

from lightning.pytorch import Callback, LightningModule, Trainer

from metric_lightning.callbacks.messages import note
from metric_lightning.callbacks.metric_module import require_metric_module
from metric_lightning.callbacks.run_folder import is_rehearsal, run_folder
from metric_lightning.callbacks.samples import Stage
from metric_lightning.modules import MetricModule


class SnapshotCallback(Callback, ABC):
    """A callback that looks at the embedding. A subclass fills in `snapshot`.

    During `fit` the validation set is looked at, at the end of every k-th epoch and at the end of training; after
    `test` the test set. Where the run keeps no files (no logger, or one without a folder) nothing is done, and that is
    said once, but by callbacks that have something to tell without files. A `fast_dev_run` is not looked at.

    Args:
        every_n_epochs: k; None: only at the end.

    Raises:
        ValueError: k is less than 1, or (in a run) the module is no `MetricModule`.
    """

    needs_folder: ClassVar[bool] = True
    """Whether files are all that it is for."""

    def __init__(self, every_n_epochs: int | None = None):
        if every_n_epochs is not None and every_n_epochs < 1:
            raise ValueError(f"every_n_epochs must be at least 1 or None, got {every_n_epochs}")
        self.every_n_epochs = every_n_epochs
        self._last_epoch = -1
        self._said = False

    @abstractmethod
    def snapshot(self, trainer: Trainer, module: MetricModule, stage: Stage, epoch: int) -> None:
        """Look at the embedding and write what is seen; called on every rank, after `epoch` epochs of training."""

    def say_once(self, trainer: Trainer, sentence: str) -> None:
        """Tell, after the callback's name, why it does less than asked."""
        if not self._said:
            note(trainer, f"{type(self).__name__} {sentence}")
        self._said = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        require_metric_module(self, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if self.every_n_epochs is not None and epoch % self.every_n_epochs == 0:
            self._take(trainer, pl_module, "val", epoch)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch != self._last_epoch:
            self._take(trainer, pl_module, "val", trainer.current_epoch)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take(trainer, pl_module, "test", trainer.current_epoch)

    def _take(self, trainer: Trainer, module: LightningModule, stage: Stage, epoch: int) -> None:
        self._last_epoch = epoch
        if is_rehearsal(trainer):
            return
        # Decided by the loggers, which are the same on all ranks, so that all go the same way.
        if self.needs_folder and run_folder(trainer) is None:
            self.say_once(trainer, "writes nothing: the run has no logger with a folder.")
            return
        self.snapshot(trainer, require_metric_module(self, module), stage, epoch)
