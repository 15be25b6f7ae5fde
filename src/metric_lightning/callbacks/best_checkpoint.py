"""Keeps the best and the last checkpoint of a run."""

from datetime import timedelta
from typing import Literal

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info


class BestCheckpoint(ModelCheckpoint):
    """`ModelCheckpoint` by validation MAP@R, with the last one kept too; without validation data the last is the best.

    Args:
        monitor: logged figure to go by.
        mode: whether a larger ("max") or smaller ("min") figure is better.
        save_last: keep `last.ckpt`, for going on with a run.
        save_top_k: how many of the best to keep.
        every_n_train_steps: save within an epoch, every so many steps; None: at the end of epochs.
        train_time_interval: save every so often; None: at the end of epochs.
    """

    def __init__(
        self,
        monitor: str = "val/map_at_r",
        mode: Literal["min", "max"] = "max",
        save_last: bool = True,
        save_top_k: int = 1,
        every_n_train_steps: int | None = None,
        train_time_interval: timedelta | None = None,
    ):
        super().__init__(
            filename="epoch={epoch}-step={step}",
            monitor=monitor,
            mode=mode,
            save_last=save_last,
            save_top_k=save_top_k,
            every_n_train_steps=every_n_train_steps,
            train_time_interval=train_time_interval,
            auto_insert_metric_name=False,
        )

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Without validation data go by time alone."""
        super().setup(trainer, pl_module, stage)
        data = getattr(trainer, "datamodule", None)
        if stage == "fit" and data is not None and len(getattr(data, "val_set", (0,))) == 0:
            rank_zero_info("There are no validation data: the last checkpoint counts as the best.")
            self.monitor = None
