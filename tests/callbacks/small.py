"""A run that takes a second: four classes of small, high images, a linear network."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor, nn

from metric_lightning.data import ArrayDataset, BalancedBatches, MetricDataModule, SampleSplit
from metric_lightning.losses import TripletMarginLoss
from metric_lightning.losses.base import MetricLoss
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks.base import EmbeddingNetwork

NAMES = ["a\tb", "c\nd", "$e$", "_f"]
HEIGHT, WIDTH = 6, 4


def images(n: int = 120, seed: int = 0) -> tuple[Tensor, Tensor]:
    """n images, each bright in the quarter of its class."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 4
    pixels = torch.randint(0, 60, (n, 1, HEIGHT, WIDTH), generator=random, dtype=torch.uint8)
    for label in range(4):
        row, column = HEIGHT // 2 * (label // 2), WIDTH // 2 * (label % 2)
        pixels[labels == label, :, row : row + HEIGHT // 2, column : column + WIDTH // 2] += 150
    return pixels, labels


class Quarters(MetricDataModule):
    def __init__(self, validation_size: int = 24, test_size: int | None = 40):
        super().__init__(
            NAMES,
            (1, HEIGHT, WIDTH),
            BalancedBatches(n_classes=4, n_samples=4),
            SampleSplit(validation_size=validation_size, test_size=test_size),
            seed=0,
        )

    def load(self) -> tuple[ArrayDataset, None]:
        pixels, labels = images()
        return ArrayDataset(pixels, labels, NAMES, mean=0.3, std=0.2), None


class Linear(EmbeddingNetwork):
    def __init__(self, embedding_dim: int = 2, zero: bool = False):
        super().__init__(embedding_dim)
        self.zero = zero

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        layer = nn.Linear(HEIGHT * WIDTH, self.embedding_dim)
        if self.zero:
            nn.init.zeros_(layer.weight)
        return nn.Sequential(nn.Flatten(), layer)


def module(
    network: nn.Module | None = None, loss: MetricLoss | None = None, lr: float = 1e-2, metrics: list[Any] | None = None
) -> EmbeddingModule:
    return EmbeddingModule(
        network or Linear(),
        loss or TripletMarginLoss(margin=1.0),
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=lr),
        metrics=metrics,
    )


def trainer(folder: Path, callbacks: list[Callback], **options: Any) -> Trainer:
    options = {
        "default_root_dir": folder,
        "max_epochs": 1,
        "logger": TensorBoardLogger(folder, name="run", version=0, default_hp_metric=False),
        "log_every_n_steps": 1,
        "accelerator": "cpu",
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    } | options
    return Trainer(callbacks=callbacks, **options)


def folder_of(folder: Path) -> Path:
    return folder / "run" / "version_0"
