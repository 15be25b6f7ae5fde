"""A run that ends before its first batch leaves nothing behind: no folder that is empty or as good as."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

# What a run writes before its first batch. Whatever else lies there is somebody else's.
_WRITTEN = ("config.yaml", "config_resumed_*.yaml", "hparams.yaml", "run.json", "events.out.tfevents.*.{process}.*")


@contextmanager
def nothing_left_of_refused(trainer: Trainer) -> Iterator[None]:
    """Take away what a run has put into the folders of its loggers, where it raises before a batch was trained on.

    What was there before stays, and so do files of other processes.
    """
    loggers = trainer.loggers if trainer.is_global_zero else []
    folders = [Path(logger.log_dir) for logger in loggers if logger.log_dir is not None]
    there = {path for folder in folders for path in (folder, *folder.parents, *folder.rglob("*")) if path.exists()}
    begun = _Begun()
    trainer.callbacks.append(begun)  # type: ignore[attr-defined]
    try:
        yield
    except BaseException:
        if not begun.begun:
            for folder in folders:
                _clear(folder, there)
        raise


class _Begun(Callback):
    """Notes that a batch was trained on."""

    begun = False

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.begun = True


def _clear(folder: Path, there: set[Path]) -> None:
    names = [name.format(process=os.getpid()) for name in _WRITTEN]
    for path in set(folder.rglob("*")) - there:
        if path.is_file() and any(fnmatch(path.name, name) for name in names):
            path.unlink(missing_ok=True)
    deepest_first = sorted(folder.rglob("*"), key=lambda path: -len(path.parts))
    for path in (*deepest_first, folder, *folder.parents):
        if path.is_dir() and path not in there and not any(path.iterdir()):
            path.rmdir()
