"""What mining and the Trainer cost in a training step: EmbeddingNet, MNIST-5k, batches of 10 classes x 25 samples.

    python -m benchmarks.training_step --threads 2      (3 minutes on two cores)

1. A whole step (forward, loss, backward, optimizer) with each loss and miner of the reference set, beside the same step
   with a plain cross-entropy on class scores. Goal: at most 15% more.
2. The share of a step of `fit`, run by the command line, that is spent outside of the network's forward and backward
   and the optimizer: data, loss, miner, logging, Trainer. Goal: at most 20%.

Both sides take turns, step by step and on the same batches, so that what else the machine does meets both. Medians;
only the ratios mean anything on another machine.
"""

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

from metric_lightning.cli import MetricCLI
from metric_lightning.command_line.arguments import completed
from metric_lightning.data import BalancedBatches, MNIST5k
from metric_lightning.losses import ContrastiveLoss, MetricLoss, TripletMarginLoss, TripletSoftMarginLoss
from metric_lightning.miners import (
    BatchHard,
    HardestNegative,
    HardNegativePairs,
    RandomHardNegative,
    RandomNegativePairs,
    SemiHardNegative,
)
from metric_lightning.networks import EmbeddingNet

EXPERIMENTS = Path(__file__).parents[1] / "experiments" / "mnist5k"
SHARES = ("softmax", "online_contrastive_all_pairs", "online_triplet_all", "online_triplet_random_hard")
LOSSES: dict[str, Callable[[], MetricLoss]] = {
    "contrastive, all pairs": lambda: ContrastiveLoss(margin=1.0),
    "contrastive, random negatives": lambda: ContrastiveLoss(margin=1.0, miner=RandomNegativePairs()),
    "contrastive, hard negative pairs": lambda: ContrastiveLoss(margin=1.0, miner=HardNegativePairs()),
    "triplet, all (1,350,000)": lambda: TripletMarginLoss(margin=1.0),
    "triplet, all, soft margin": lambda: TripletSoftMarginLoss(),
    "triplet, hardest negative": lambda: TripletMarginLoss(margin=1.0, miner=HardestNegative()),
    "triplet, random hard negative": lambda: TripletMarginLoss(margin=1.0, miner=RandomHardNegative()),
    "triplet, semi-hard negative": lambda: TripletMarginLoss(margin=1.0, miner=SemiHardNegative()),
    "triplet, batch-hard": lambda: TripletMarginLoss(margin=1.0, miner=BatchHard()),
}
Batch = tuple[Tensor, Tensor]


class Classifier(nn.Module):
    """The plain alternative: class scores and their cross-entropy."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Sequential(nn.PReLU(), nn.Linear(2, 10))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy."""
        return nn.functional.cross_entropy(self.scores(embeddings), labels)


def make_step(loss: nn.Module) -> Callable[[Batch], None]:
    """Return a function that trains a network of its own by one batch."""
    torch.manual_seed(0)
    network = EmbeddingNet(embedding_dim=2, input_shape=(1, 28, 28))
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=1e-3)

    def step(batch: Batch) -> None:
        optimizer.zero_grad()
        loss(network(batch[0]), batch[1]).backward()
        optimizer.step()

    return step


def cost_of_mining(rounds: int, warm_up: int = 5) -> dict[str, tuple[float, float]]:
    """Return, for each loss, the median milliseconds of a step and its median ratio to a plain one just before it."""
    batches = _batches(rounds + warm_up)
    plain, steps = make_step(Classifier()), {name: make_step(make()) for name, make in LOSSES.items()}
    taken: dict[str, list[float]] = {name: [] for name in ["plain", *steps]}
    ratios: dict[str, list[float]] = {name: [] for name in steps}
    for number, batch in enumerate(batches):
        for name, step in steps.items():
            before, after = _seconds(plain, batch), _seconds(step, batch)
            if number >= warm_up:
                taken["plain"].append(before)
                taken[name].append(after)
                ratios[name].append(after / before)
    found = {"plain cross-entropy": (1e3 * median(taken["plain"]), 1.0)}
    return found | {name: (1e3 * median(taken[name]), median(ratios[name])) for name in steps}


class BareSteps(Callback):
    """After each step of the Trainer does what can't be left out, on a copy of the network, and times both."""

    measured: ClassVar[list[tuple[float, float]]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self.measured.clear()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        network: Any = pl_module.network
        self.network = copy.deepcopy(network)
        group = trainer.optimizers[0].param_groups[0]
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=group["lr"], weight_decay=group["weight_decay"])

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        whole = time.perf_counter() - self.start
        bare = _seconds(self._bare, batch)
        self.measured.append((whole, bare))
        self.start = time.perf_counter()

    def _bare(self, batch: Any) -> None:
        """The network's forward and backward and the optimizer; the loss's gradient is a constant."""
        self.optimizer.zero_grad()
        embeddings = self.network(batch.inputs)
        embeddings.backward(torch.ones_like(embeddings))
        self.optimizer.step()


def share_outside(experiment: str, epochs: int, warm_up: int = 5) -> tuple[float, float, float]:
    """Return the median milliseconds of a step of `fit`, those of a bare one, and the median share outside."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            sys.argv[1:] = completed(
                [
                    *("fit", "--config", str(EXPERIMENTS / f"{experiment}.yaml"), "--default_callbacks=false"),
                    *("--trainer.callbacks+=benchmarks.training_step.BareSteps", f"--trainer.max_epochs={epochs}"),
                    *("--trainer.limit_val_batches=0", "--trainer.enable_checkpointing=false"),
                    *("--trainer.accelerator=cpu", "--trainer.enable_model_summary=false"),
                ]
            )
            MetricCLI()
        finally:
            os.chdir(before)
    # The command line imports this file by its name, which is another module than `__main__`.
    measured = sys.modules["benchmarks.training_step"].BareSteps.measured[warm_up:]
    whole, bare = (1e3 * median(times) for times in zip(*measured, strict=True))
    return whole, bare, median(1 - alone / both for both, alone in measured)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=60, help="steps of each loss")
    parser.add_argument("--epochs", type=int, default=8, help="of 14 or 15 steps, for the Trainer's share")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.threads} threads, torch {torch.__version__}, {os.cpu_count()} cores")
    shares = {name: share_outside(name, options.epochs) for name in SHARES}
    costs = cost_of_mining(options.rounds)
    print(f"\n{'a step on 250 images':<36}{'ms':>8}{'ratio':>8}")
    for name, (milliseconds, ratio) in costs.items():
        print(f"{name:<36}{milliseconds:>8.1f}{ratio:>8.3f}")
    print(f"\n{'a step of `fit`':<36}{'ms':>8}{'bare':>8}{'outside':>9}")
    for name, (whole, bare, share) in shares.items():
        print(f"{name:<36}{whole:>8.1f}{bare:>8.1f}{share:>9.1%}")


def _batches(number: int) -> list[Batch]:
    data = MNIST5k(BalancedBatches(n_classes=10, n_samples=25), seed=0)
    data.setup()
    batches: list[Batch] = []
    while len(batches) < number:
        batches += [(batch.inputs, batch.labels) for batch in data.train_dataloader()]
    return batches[:number]


def _seconds(step: Callable[[Any], None], batch: Any) -> float:
    start = time.perf_counter()
    step(batch)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
