"""A run's whole configuration: beside its checkpoints for people, and within them, so that a checkpoint is enough."""

import os
from typing import Any

import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from metric_lightning.checkpoints import CONFIG, read_checkpoint
from metric_lightning.errors import UserError


class SaveConfig(SaveConfigCallback):
    """Writes config.yaml into the run's folder, and the same text into every checkpoint."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file where a run has a folder: in `fit`."""
        if stage == "fit" and trainer.logger is not None:
            super().setup(trainer, pl_module, stage)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Nothing more than the file: hyperparameters are logged by the module."""

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the configuration into the checkpoint, as text."""
        checkpoint[CONFIG] = self.parser.dump(self.config, skip_none=False)


def config_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the configuration of the run that wrote a checkpoint, without what belongs to that one command.

    Raises:
        UserError: the checkpoint can't be read, or was not written by the command line.
    """
    text = read_checkpoint(path).get(CONFIG)
    if text is None:
        raise UserError(
            f"{path} holds no configuration (its run was started from Python); give the data and model with --config"
        )
    config = yaml.safe_load(text)
    return {name: value for name, value in config.items() if name in ("seed_everything", "data", "model", "trainer")}
