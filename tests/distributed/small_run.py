"""A small run on made-up data, for comparing what should come to the same."""

from functools import partial
from typing import Any

import torch
from lightning.pytorch import Trainer, seed_everything
from torch import nn
from torchvision.transforms.v2 import Transform

from metric_lightning.data import ArrayDataset, BatchStrategy, LabelledDataset, MetricDataModule
from metric_lightning.modules import MetricModule
from metric_lightning.networks import EmbeddingNetwork

CLASSES, SAMPLES = 6, 40


class SmallData(MetricDataModule):
    """Classes are noisy copies of a picture each."""

    def __init__(
        self, batches: BatchStrategy | None = None, num_workers: int = 0, augment: list[Transform] | None = None
    ):
        names = [str(number) for number in range(CLASSES)]
        super().__init__(names, (1, 4, 4), batches, augment=augment, eval_batch_size=7, num_workers=num_workers, seed=3)

    def load(self) -> tuple[LabelledDataset, None]:
        random = torch.Generator().manual_seed(0)
        labels = torch.arange(CLASSES * SAMPLES) % CLASSES
        pictures = torch.rand(CLASSES, 1, 4, 4, generator=random)[labels]
        noisy = (0.6 * pictures + 0.4 * torch.rand(pictures.shape, generator=random)) * 255
        return ArrayDataset(noisy.byte(), labels, self.own_class_names, mean=0.5, std=0.3), None


class SmallNet(EmbeddingNetwork):
    """Two layers."""

    def __init__(self, embedding_dim: int = 5, dropout: float = 0.0, batch_norm: bool = False):
        super().__init__(embedding_dim)
        self.dropout = dropout
        self.batch_norm = batch_norm

    def make_layers(self, input_shape: tuple[int, ...]) -> nn.Module:
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(16, 12),
            nn.BatchNorm1d(12) if self.batch_norm else nn.Identity(),
            nn.Tanh(),
            nn.Dropout(self.dropout),
            nn.Linear(12, self.embedding_dim),
        )


Sgd = partial(torch.optim.SGD, lr=0.05, momentum=0.9)


def trainer(folder: Any, **arguments: Any) -> Trainer:
    defaults = dict(
        accelerator="cpu",
        devices=1,
        logger=False,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
    )
    return Trainer(**{**defaults, **arguments})


def fitted(module: MetricModule, batches: BatchStrategy, folder: Any, **arguments: Any) -> Trainer:
    """Train, always from the same weights."""
    seed_everything(11)
    data = SmallData(batches)
    module.build(data.num_classes, data.input_shape)
    made = trainer(folder, **arguments)
    made.fit(module, data)
    return made
