"""Which optimizer and schedule train a module, and at which learning rate each of its parts."""

from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import nn

from metric_lightning.networks.base import EmbeddingNetwork


class Optimization(NamedTuple):
    """Makes the optimizer of a network and its loss; arguments are those of `MetricModule`."""

    optimizer: OptimizerCallable | None
    scheduler: LRSchedulerCallable | None
    scheduler_interval: Literal["epoch", "step"]
    loss_lr_scale: float

    def of(self, module: nn.Module, network: nn.Module, loss: nn.Module) -> Any:
        """Return the optimizer of a module's parameters and, where there is one, its schedule.

        Args:
            module: what has all parameters; those of neither network nor loss learn as the network's first part.
            network: may name learning rates of its parts, see `EmbeddingNetwork.learning_rates`.
            loss: its parameters learn `loss_lr_scale` times as fast.
        """
        scaled = [(scale, [p for p in part if p.requires_grad]) for scale, part in _learning_rates(network)]
        own = [parameter for parameter in loss.parameters() if parameter.requires_grad]
        listed = {id(p) for p in [*own, *(p for _, part in scaled for p in part)]}
        scaled[0][1].extend(p for p in module.parameters() if p.requires_grad and id(p) not in listed)
        if own:
            scaled.append((self.loss_lr_scale, own))
        optimizer = (self.optimizer or _adam)([{"params": part} for _, part in scaled])
        for group, (scale, _) in zip(optimizer.param_groups, scaled, strict=True):
            group["lr"] *= scale
        if self.scheduler is None:
            return optimizer
        schedule = {"scheduler": self.scheduler(optimizer), "interval": self.scheduler_interval}
        return {"optimizer": optimizer, "lr_scheduler": schedule}


def _learning_rates(network: nn.Module) -> list[tuple[float, list[nn.Parameter]]]:
    if isinstance(network, EmbeddingNetwork):
        return network.learning_rates()
    return [(1.0, list(network.parameters()))]


def _adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1e-3)
