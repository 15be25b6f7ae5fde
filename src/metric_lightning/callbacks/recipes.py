"""How a run trains, as far as remedies depend on it."""

import torch
from lightning.pytorch import Trainer
from torch import Tensor

from metric_lightning.callbacks.loss_distances import loss_distances, margin_of, pairwise_part
from metric_lightning.callbacks.remedies import Recipe
from metric_lightning.miners.base import TripletMiner
from metric_lightning.modules import MetricModule


def recipe_of(trainer: Trainer, module: MetricModule, embeddings: Tensor) -> Recipe:
    """Return what a run does already; `embeddings` (n, D) tell whether they are unit vectors."""
    part = pairwise_part(module.loss)
    miner = None if part is None else part.miner
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    unit = torch.allclose(embeddings.norm(dim=1), torch.ones(()), atol=1e-3)
    return Recipe(
        pairwise=part is not None,
        margin=margin_of(module.loss),
        miner=None if miner is None else type(miner).__name__,
        picks_triplets=isinstance(miner, TripletMiner),
        angular=unit or (part is not None and _ignores_length(module, embeddings.shape[1])),
        decays=any(group.get("weight_decay", 0) for group in groups),
    )


def _ignores_length(module: MetricModule, dimensions: int) -> bool:
    x = torch.randn(4, dimensions, generator=torch.Generator().manual_seed(0))
    return torch.allclose(loss_distances(module.loss, x, x), loss_distances(module.loss, 2 * x, 2 * x), atol=1e-3)
