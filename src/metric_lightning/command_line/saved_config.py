"""A run's whole configuration: beside its checkpoints for people, and within them, so that a checkpoint is enough."""

import os
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import SaveConfigCallback

from metric_lightning.checkpoints import CONFIG, read_checkpoint
from metric_lightning.command_line.run_folder import LOGS
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically

_LOGGER = "lightning.pytorch.loggers.TensorBoardLogger"
_OF_ONE_COMMAND = ("config", "ckpt_path", "output", "pairs")
_OF_EVALUATION = ("seed_everything", "data", "model", "trainer")


class SaveConfig(SaveConfigCallback):
    """Writes config.yaml into the run's folder, and the same text into every checkpoint.

    It repeats the run: what it was gone on from, and the folder's number, are no part of it. A run that is gone on with
    by other settings gets config_resumed_1.yaml and so on beside it; the first file stays.
    """

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the file where a run has a folder: in `fit`."""
        if stage != "fit" or trainer.logger is None or self.already_saved:
            return
        folder = trainer.log_dir  # a broadcast: every rank must ask
        if trainer.is_global_zero and folder is not None:
            _write(Path(folder), self._text(), goes_on=self.config.ckpt_path is not None)
        self.already_saved = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Put the configuration into the checkpoint, as text."""
        checkpoint[CONFIG] = self._text()

    def _text(self) -> str:
        return as_text(self.parser, self.config)


def as_text(parser: Any, settings: Namespace) -> str:
    """Return the whole configuration of a run as YAML, without what belongs to that one run."""
    config = settings.clone()
    config.ckpt_path = None
    if is_own_logger(config.trainer.logger):
        config.trainer.logger = None
    text: str = parser.dump(config, skip_none=False)
    return text


def own_logger(experiment: str, version: str | None) -> Namespace:
    """Return the logger of a run for which none is named."""
    arguments = Namespace(save_dir=str(LOGS), name=experiment, version=version, default_hp_metric=False)
    return Namespace(class_path=_LOGGER, init_args=arguments)


def is_own_logger(logger: Any) -> bool:
    """Whether it is that of `own_logger`, as Namespace or dict; one that was parsed has all its arguments."""
    if not isinstance(logger, Namespace | dict) or logger.get("class_path") != _LOGGER:
        return False
    arguments = logger.get("init_args") or {}
    return set(arguments.keys()) == set(own_logger("", None).init_args.keys()) and arguments["save_dir"] == str(LOGS)


def config_of(path: str | os.PathLike[str], evaluation: bool = False) -> dict[str, Any]:
    """Return the configuration of the run that wrote a checkpoint, without what belongs to that one command.

    Args:
        path: of the checkpoint.
        evaluation: keep data and model, and of the trainer what says where and how exactly it computes.

    Raises:
        UserError: the checkpoint can't be read, or was not written by the command line.
    """
    text = read_checkpoint(path).get(CONFIG)
    if text is None:
        raise UserError(
            f"{path} holds no configuration (its run was started from Python); give the data and model with --config"
        )
    config = yaml.safe_load(text)
    trainer = config.get("trainer") or {}
    if is_own_logger(trainer.get("logger")):
        trainer["logger"] = None
    if not evaluation:
        return without_command(config)
    kept = {name: trainer[name] for name in ("accelerator", "precision", "deterministic") if name in trainer}
    return {name: value for name, value in config.items() if name in _OF_EVALUATION} | {"trainer": kept}


def without_command(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without what belongs to one command."""
    return {name: value for name, value in config.items() if name not in _OF_ONE_COMMAND}


def _write(folder: Path, text: str, goes_on: bool) -> None:
    first = folder / "config.yaml"
    if not (goes_on and first.exists()):
        write_atomically(first, text)
        return
    resumed = sorted(folder.glob("config_resumed_*.yaml"))
    if any(path.read_text(encoding="utf-8") == text for path in (first, *resumed)):
        return
    write_atomically(folder / f"config_resumed_{len(resumed) + 1}.yaml", text)
