"""This package beside pytorch-metric-learning: what each does in cases that users have met, and one training.

    python -m benchmarks.peers                                  (two minutes on one core)
    python -m benchmarks.peers --seeds 10 --epochs 10 --device cuda --output docs/measured/peers.md

Every cell is the outcome of a run of this command: nothing is copied from elsewhere. Speed is of one run, all sides one
after the other; only ratios mean anything on another machine.
"""

import argparse
import logging
import os
import platform
from importlib.metadata import version
from pathlib import Path

import torch

from benchmarks.peer_checks import checks, outcome
from benchmarks.peer_training import (
    Trained,
    by_loop,
    by_trainer,
    evaluate_ours,
    evaluate_theirs,
    middle,
    our_loss,
    our_sampled_loss,
    their_loss,
)
from experiments.harness.statistics import interval
from experiments.harness.table import cell, markdown
from metric_lightning import __version__
from metric_lightning.files import write_atomically

PEER = "pytorch-metric-learning"


def behaviour() -> str:
    """Return the table of cases."""
    rows = [[check.asked, outcome(check.ours), outcome(check.theirs)] for check in checks()]
    return markdown(["case", "metric_lightning", PEER], rows)


def training(seeds: int, epochs: int, device: str) -> str:
    """Return the table of one training by each side."""
    sides = {
        f"plain loop, {PEER}": by_loop(their_loss, evaluate_theirs, seeds, epochs, device),
        "plain loop, our loss, all semi-hard": by_loop(
            lambda: our_loss().to(device), evaluate_ours, seeds, epochs, device
        ),
        "our Trainer, all semi-hard": by_trainer(our_loss, seeds, epochs, device),
        "our Trainer, one semi-hard negative a pair": by_trainer(our_sampled_loss, seeds, epochs, device),
    }
    names = ["training", "images a second", "miner and loss, share", "evaluation, ms", "MAP@R"]
    return markdown(names, [[name, *_cells(found)] for name, found in sides.items()])


def _cells(found: Trained) -> list[str]:
    mining = f"{middle(found.mining):.0%}" if found.mining else "not told apart"
    evaluation = f"{1e3 * middle(found.evaluation):.0f}"
    return [f"{middle(found.images):,.0f}", mining, evaluation, cell(interval(found.accuracy))]


def page(seeds: int, epochs: int, device: str) -> str:
    """Return both tables with what they were made on."""
    where = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} thread(s)"
    return "\n".join(
        [
            behaviour(),
            "One training: MNIST-5k, 64-D unit embeddings, triplet loss with margin 0.2 on semi-hard negatives, "
            f"batches of 250, Adam, {epochs} epochs, {seeds} seed(s); medians, of MAP@R the mean and 95% interval.\n",
            training(seeds, epochs, device),
            f"Made on: {where}, {os.cpu_count()} cores ({platform.machine()}); torch {torch.__version__}, "
            f"metric_lightning {__version__}, {PEER} {version(PEER)}.\n",
        ]
    )


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--output", type=Path, help="file to write the tables to, as well")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    found = page(options.seeds, options.epochs, options.device)
    if options.output is not None:
        write_atomically(options.output, found)
    print(found)


if __name__ == "__main__":
    main()
