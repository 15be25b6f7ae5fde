"""What the default callbacks add to a training: the share of their hooks in one mnist5k run.

    python -m benchmarks.callbacks --threads 2            (the run's own minute or two; --epochs 5: a quarter of it)

Each hook is timed within the run (Lightning's profiler), from the fit's set-up to its end, so that what else the
machine does meets both sides of the share alike; runs with and without callbacks would differ by more than the
callbacks cost. Threads that spin on busy cores can make the run many times slower; the share still holds. Checkpoints
count as training: `--default_callbacks false` keeps them, too.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.profilers import SimpleProfiler

from metric_lightning.cli import main as command_line

CONFIG = Path(__file__).parents[1] / "experiments" / "mnist5k" / "online_triplet_random_hard.yaml"
DEFAULT = ("RunSummary", "DataCheck", "CollapseDiagnosis", "EmbeddingFigures", "MislabelledCandidates", "Projector")


class Stopwatch(Callback):
    """Keeps the seconds of a fit, and of each default callback's hooks within it."""

    total: ClassVar[float] = 0.0
    of_callbacks: ClassVar[dict[str, float]] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        print(f"epoch {trainer.current_epoch + 1}: {time.perf_counter() - self._start:.0f} s", flush=True)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        if stage == "fit":
            Stopwatch.total = time.perf_counter() - self._start
            Stopwatch.of_callbacks = seconds_of(trainer.profiler.recorded_durations)


def seconds_of(durations: dict[str, list[float]]) -> dict[str, float]:
    """Return the seconds of each default callback, from a profiler's "[Callback]name{arguments}.hook"."""
    return {
        name: sum(sum(times) for action, times in durations.items() if action.startswith(f"[Callback]{name}"))
        for name in DEFAULT
    }


def table(total: float, of_callbacks: dict[str, float]) -> str:
    """Return the seconds of each callback, and what all add to the rest of the fit."""
    added = sum(of_callbacks.values())
    rest = total - added
    lines = [f"{name:22} {taken:7.2f} s {taken / rest:7.1%}" for name, taken in of_callbacks.items()]
    return "\n".join([*lines, f"they add {added / rest:.1%}: {added:.1f} s to {rest:.1f} s of training"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        command_line(
            [
                *("fit", "--config", str(CONFIG), "--trainer.max_epochs", str(options.epochs)),
                "--trainer.callbacks+=benchmarks.callbacks.Stopwatch",
                *("--trainer.profiler", f"{SimpleProfiler.__module__}.SimpleProfiler"),
                *("--trainer.accelerator", "cpu", "--trainer.enable_progress_bar", "false"),
            ]
        )
    # The command line imports this file under its own name.
    from benchmarks.callbacks import Stopwatch as Measured

    print(f"\n{options.epochs} epochs, {options.threads} threads")
    print(table(Measured.total, Measured.of_callbacks))


if __name__ == "__main__":
    main()
