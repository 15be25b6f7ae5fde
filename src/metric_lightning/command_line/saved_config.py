"""A run's whole configuration: beside its checkpoints for people, and within them, so that a checkpoint is enough."""

import os
from pathlib import Path
from typing import Any

import torch
import yaml
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from metric_lightning.errors import UserError

KEY = "metric_lightning_config"


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
        checkpoint[KEY] = self.parser.dump(self.config, skip_none=False)


def read_checkpoint(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a checkpoint's content, data only: nothing in it is executed.

    Raises:
        UserError: the file is not there, cut short, or no checkpoint.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}{_neighbours(path)}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch and zipfile raise many kinds for a damaged file
        raise UserError(
            f"{path} can't be read as a checkpoint ({type(error).__name__}); it may be cut short{_neighbours(path)}"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(f"{path} is no checkpoint of a training run: it has no state_dict")
    return content


def config_of(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the configuration of the run that wrote a checkpoint, without what belongs to that one command.

    Raises:
        UserError: the checkpoint can't be read, or was not written by the command line.
    """
    text = read_checkpoint(path).get(KEY)
    if text is None:
        raise UserError(
            f"{path} holds no configuration (its run was started from Python); give the data and model with --config"
        )
    config = yaml.safe_load(text)
    return {name: value for name, value in config.items() if name in ("seed_everything", "data", "model", "trainer")}


def newest_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint below a folder that can be read whole; None where there is none."""
    found = sorted(folder.rglob("*.ckpt"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in found:
        try:
            read_checkpoint(path)
        except UserError:
            continue
        return path
    return None


def _neighbours(path: Path) -> str:
    folder = next((parent for parent in path.parents if parent.is_dir()), Path("."))
    others = sorted(other.name for other in folder.glob("*.ckpt") if other != path)
    return f"; in {folder} there is {', '.join(others)}" if others else ""
