"""What a checkpoint keeps of its run, so that the model can be shipped from it alone, with a card that tells of it."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule

KEY = "metric_lightning_shipping"


def shipping_record(module: LightningModule) -> dict[str, Any]:
    """Return plain data of a module that is being trained.

    - `module`: import path of its class;
    - `data`: the data module's class, and the numbers of samples and classes of each part; None without one;
    - `figures`: what was measured last, "val/map_at_r" and so on; of validation none that is of earlier weights;
    - `epoch`, `step`: when.
    """
    trainer = module.trainer
    data = getattr(trainer, "datamodule", None)
    validated = getattr(module, "validated_step", None) == trainer.global_step
    found = {
        name: float(value)
        for name, value in trainer.callback_metrics.items()
        if validated or not name.startswith("val/")
    }
    return {
        "module": _path_of(module),
        "data": None if data is None else {"class": _path_of(data), "parts": _parts(data)},
        "figures": {name: value for name, value in found.items() if math.isfinite(value)},
        "epoch": trainer.current_epoch,
        "step": trainer.global_step,
    }


def _path_of(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _parts(data: Any) -> dict[str, dict[str, int]]:
    parts = {}
    for name, attribute in (("train", "train_eval_set"), ("validation", "val_set"), ("test", "test_set")):
        labels = getattr(getattr(data, attribute, None), "labels", None)
        if isinstance(labels, torch.Tensor):
            parts[name] = {"samples": len(labels), "classes": len(labels.unique(dim=0))}
    return parts
