"""A data module, a loss and a module of another project: each fills in what its base class leaves open."""

from typing import Any

import torch
from lightning.pytorch.cli import OptimizerCallable
from torch import Tensor

from metric_lightning.data import ArrayDataset, BatchStrategy, LabelledDataset, MetricDataModule
from metric_lightning.losses import PairwiseLoss
from metric_lightning.miners import PairMiner
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import EmbeddingNetwork
from metric_lightning.types import Pairs, Ratio

NAMES = ["square", "disc", "cross", "ring"]


class Shapes(MetricDataModule):
    """Drawn shapes of random place and size in noise, 20x20 pixels."""

    def __init__(self, size: int = 800, batches: BatchStrategy | None = None):
        super().__init__(NAMES, (1, 20, 20), batches=batches)
        self.size = size

    def load(self) -> tuple[LabelledDataset, LabelledDataset | None]:
        random = torch.Generator().manual_seed(0)
        labels = torch.arange(self.size) % len(NAMES)
        place = torch.rand(self.size, 2, 1, 1, generator=random) * 8 + 6
        radius = torch.rand(self.size, 1, 1, generator=random) * 2 + 3
        line = torch.arange(20.0)
        dy, dx = (line[:, None] - place[:, 0]).abs(), (line[None, :] - place[:, 1]).abs()
        far = (dx.square() + dy.square()).sqrt()
        drawn = torch.stack(
            [
                (dx <= radius) & (dy <= radius),
                far <= radius,
                ((dx <= 1) | (dy <= 1)) & (dx <= radius) & (dy <= radius),
                (far - radius).abs() <= 1,
            ]
        )
        noise = torch.rand(self.size, 20, 20, generator=random) * 120
        images = noise + 135 * drawn[labels, torch.arange(self.size)]
        return ArrayDataset(images.byte()[:, None], labels, NAMES, mean=0.3, std=0.3), None


class AbsoluteContrastiveLoss(PairwiseLoss):
    """d for a positive pair, max(0, m - d) for a negative one: contrastive loss without the squares."""

    def __init__(self, margin: float = 1.0, miner: PairMiner | None = None):
        super().__init__(miner=miner)
        self.margin = margin

    def anchor_terms(self, distances: Tensor, pairs: Pairs) -> dict[str, Ratio]:
        if self.miner is not None:
            pairs = self.miner(distances.detach(), pairs)
        costs = distances.where(pairs.positive, (self.margin - distances).clamp_min(0))
        counted = pairs.positive | pairs.negative
        return {"pairs": Ratio(costs.masked_fill(~counted, 0).sum(dim=1), counted.sum(dim=1).to(costs.dtype))}


class WarmedUpModule(EmbeddingModule):
    """`EmbeddingModule` whose learning rate grows from zero over the first steps."""

    def __init__(
        self,
        network: EmbeddingNetwork,
        loss: PairwiseLoss,
        optimizer: OptimizerCallable | None = None,
        warmup_steps: int = 20,
        num_classes: int | None = None,
        input_shape: tuple[int, ...] | None = None,
    ):
        super().__init__(network, loss, optimizer, num_classes=num_classes, input_shape=input_shape)
        self.warmup_steps = warmup_steps

    def configure_optimizers(self) -> Any:
        optimizer = super().configure_optimizers()
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / self.warmup_steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
