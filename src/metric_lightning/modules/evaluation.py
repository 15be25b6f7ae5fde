"""Evaluation of a module: parts of its data are embedded once, and every metric reads the same embeddings."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import move_data_to_device
from torch import Tensor

from metric_lightning.metrics import EmbeddedSet, EmbeddingMetric
from metric_lightning.modules.collect import Collector


@torch.no_grad()
def embed(
    module: LightningModule,
    loader: Any,
    unpack: Callable[[Any], tuple[Any, Tensor]],
    network: Callable[[Any], Tensor],
    gather: bool,
) -> EmbeddedSet:
    """Return what a network makes of all samples of a loader, with the module in evaluation mode; see
    `MetricModule.embed`.
    """
    modes = {part: part.training for part in module.modules()}  # some parts may be kept in evaluation mode
    module.eval()
    collector = Collector()
    for batch in loader:
        inputs, labels = unpack(move_data_to_device(batch, module.device))
        with module.trainer.precision_plugin.forward_context() if module._trainer else torch.no_grad():
            collector.add(network(inputs), labels, batch[2] if len(batch) > 2 else None)
    for part, training in modes.items():
        part.training = training
    return collector.finish(gather)


def gallery_loader(trainer: Any) -> Any:
    """Return the loader of what queries are searched among; None during `fit`, and for data without a gallery."""
    loader = getattr(getattr(trainer, "datamodule", None), "gallery_dataloader", None)
    return None if loader is None or trainer.state.fn == TrainerFn.FITTING else loader()


def evaluated_set(trainer: Any, stage: str) -> Any:
    """Return the data set of a stage, "val" or "test"; None where the Trainer has no data module that keeps it."""
    return getattr(getattr(trainer, "datamodule", None), f"{stage}_set", None)


def with_groups(found: EmbeddedSet, dataset: Any) -> EmbeddedSet:
    """Say where samples come from, for data that know; what metrics make of it needs both sides' groups."""
    groups = getattr(dataset, "groups", None)
    return found if groups is None else found._replace(groups=groups[found.indices])


def figures_of(
    metrics: Iterable[EmbeddingMetric], queries: EmbeddedSet, gallery: EmbeddedSet | None, dataset: Any, stage: str
) -> dict[str, float]:
    """Return all figures of a stage; metrics fit what they choose on validation data, "val"."""
    figures: dict[str, float] = {}
    for metric in metrics:
        metric.take_part(stage, getattr(dataset, "path_of", None))
        if stage == "val":
            metric.fit(queries)
        figures |= metric.evaluate(queries, gallery)
    return figures
