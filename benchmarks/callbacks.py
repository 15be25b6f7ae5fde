"""What the default callbacks add to a training: the mnist5k run with them and without, in turns.

    python -m benchmarks.callbacks --threads 2            (ten minutes; --epochs 5 --turns 1: two)

Seconds are those from a fit's set-up to its end: training, checkpoints, checks, figures. Only the share means anything
on another machine.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from metric_lightning.cli import main as command_line

CONFIG = Path(__file__).parents[1] / "experiments" / "mnist5k" / "online_triplet_random_hard.yaml"


class Seconds(Callback):
    """Measures a fit, from its set-up to its end."""

    of_fits: ClassVar[list[float]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._start = time.perf_counter()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            self.of_fits.append(time.perf_counter() - self._start)


def seconds(default_callbacks: bool, epochs: int) -> float:
    command_line(
        [
            *("fit", "--config", str(CONFIG), "--trainer.max_epochs", str(epochs)),
            *(
                "--default_callbacks",
                str(default_callbacks).lower(),
                "--trainer.callbacks+=benchmarks.callbacks.Seconds",
            ),
            *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
        ]
    )
    # The command line imports this file under its own name.
    from benchmarks.callbacks import Seconds as Measured

    return Measured.of_fits[-1]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        found: dict[bool, list[float]] = {False: [], True: []}
        for _ in range(options.turns):
            for default in (False, True):
                found[default].append(seconds(default, options.epochs))
    without, with_all = (statistics.median(found[default]) for default in (False, True))
    print(f"\n{options.epochs} epochs: {without:.1f} s without, {with_all:.1f} s with the default callbacks")
    print(f"they add {with_all / without - 1:.1%}")


if __name__ == "__main__":
    main()
