"""A small run with everything that has a state, in a process of its own that can be killed."""

import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.multiprocessing as mp
from lightning.pytorch import Callback, Trainer, seed_everything
from torchvision.transforms import v2

from metric_lightning.callbacks import BestCheckpoint
from metric_lightning.data import BalancedBatches
from metric_lightning.losses import CrossBatchMemory, TripletMarginLoss
from metric_lightning.miners import RandomHardNegative
from metric_lightning.modules import EmbeddingModule
from tests.distributed.small_run import SmallData, SmallNet, trainer

STEPS, EPOCH = 16, 6  # the last epoch is cut short


class Kill(Callback):
    """SIGKILL to this very process after so many batches."""

    def __init__(self, step: int, hook: str):
        self.step = step
        setattr(self, hook, self._kill)

    def _kill(self, trainer: Trainer, *_: Any, **__: Any) -> None:
        if trainer.global_step >= self.step:
            os.kill(os.getpid(), signal.SIGKILL)


def run(
    folder: Path,
    num_workers: int,
    callbacks: list[Callback],
    resume: Path | None,
    every_steps: int | None = 1,
    **options: Any,
) -> None:
    """Train, keeping checkpoints in `folder`, and write the final weights there."""
    torch.set_num_threads(1)
    # The process this is forked from may have asked for GPUs, which Lightning takes for their use.
    torch.cuda._is_in_bad_fork = lambda: False
    # Another seed, as a restarted script might have: a resumed run must not depend on it.
    seed_everything(7 if resume is None else 8)
    loss = CrossBatchMemory(TripletMarginLoss(margin=0.5, miner=RandomHardNegative(seed=2)), size=25, start_step=2)
    module = EmbeddingModule(
        SmallNet(dropout=0.3, batch_norm=True),
        loss,
        partial(torch.optim.AdamW, lr=0.02),
        partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.8),
    )
    data = SmallData(BalancedBatches(3, 4, batches_per_epoch=EPOCH), num_workers, [v2.RandomAffine(20)])
    checkpoint = BestCheckpoint(every_n_train_steps=every_steps)
    checkpoint.dirpath = str(folder)
    made = trainer(
        folder,
        max_epochs=-1,
        max_steps=STEPS,
        enable_checkpointing=True,
        callbacks=[checkpoint, *callbacks],
        **options,
    )
    made.fit(module, data, ckpt_path=resume, weights_only=True)
    torch.save(
        {
            "weights": module.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in made.optimizers],
            "best": (checkpoint.best_model_path, checkpoint.best_model_score),
        },
        folder / "end.pt",
    )


def in_a_process(*arguments: Any, **options: Any) -> int:
    """Return the exit code of `run`, negative for a signal."""
    process = mp.get_context("fork").Process(target=run, args=arguments, kwargs=options)
    process.start()
    process.join(120)
    assert process.exitcode is not None, "the run hangs"
    return process.exitcode
