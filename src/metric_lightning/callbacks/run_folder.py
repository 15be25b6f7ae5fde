"""Where a run's files go, and the writer of its TensorBoard events."""

from pathlib import Path

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

FIGURES = "figures"


def run_folder(trainer: Trainer) -> Path | None:
    """Return the folder of the first logger that keeps one (TensorBoard's, CSV), or None. Meaningful on rank 0 only."""
    folders = [logger.log_dir for logger in trainer.loggers if logger.log_dir is not None]
    return Path(folders[0]) if folders else None


def is_rehearsal(trainer: Trainer) -> bool:
    """Whether this is a `fast_dev_run`, of which nothing is kept."""
    return bool(getattr(trainer, "fast_dev_run", False))


def tensorboard_logger(trainer: Trainer) -> TensorBoardLogger | None:
    """Return the trainer's first TensorBoard logger, or None."""
    found = [logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return found[0] if found else None


def tensorboard_writer(trainer: Trainer) -> SummaryWriter | None:
    """Return the writer of the trainer's TensorBoard logger, or None. For rank 0 only."""
    logger = tensorboard_logger(trainer)
    return None if logger is None else logger.experiment
